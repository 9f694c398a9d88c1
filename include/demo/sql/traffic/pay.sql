insert into transactions (user_id, external_id, product_type, transaction_type, amount, status, payment_method)
values (%(profile)s, %(external_id)s, 'p2p_course', 'payment', 1000, 'pending', 'EWALLET')
returning created_at

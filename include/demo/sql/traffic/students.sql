-- People who paid and are enrolled: real customers, whose rows outlive a launch.
select
    enrollments.user_id,
    enrollments.id
from enrollments
inner join transactions on enrollments.transaction_id = transactions.id
where
    enrollments.product_type = 'p2p_course'
    and transactions.transaction_type <> 'test'
    and coalesce(transactions.xendit_invoice_id, transactions.xendit_transaction_id) is not null
order by enrollments.id

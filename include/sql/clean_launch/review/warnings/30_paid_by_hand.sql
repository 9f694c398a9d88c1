-- Paid by hand: as staff have booked it, or, for who is tagged without any payment, at the catalogue's price.
select
    t.contact_email as email,
    t.product_type as product,
    t.amount,
    t.currency,
    t.created_at,
    exists(select from input.booked as b where b.id = t.id) as booked_by_staff
from staging.transactions as t
where t.transaction_type = 'manual'
order by t.created_at asc, t.id asc

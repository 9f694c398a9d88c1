-- Taken as paid by hand: tagged, no invoice for the product, booked at the catalogue's price.
select
    t.contact_email as email,
    t.product_type as product,
    t.amount,
    t.currency,
    t.created_at
from staging.transactions as t
where t.transaction_type = 'manual'
order by t.created_at asc, t.id asc

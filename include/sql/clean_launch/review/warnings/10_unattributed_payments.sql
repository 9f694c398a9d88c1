-- Paid, but for no product of the catalogue: kept, and gives no enrolment.
select
    t.xendit_invoice_id as invoice,
    t.amount,
    t.currency,
    t.paid_at,
    t.contact_email as email
from staging.transactions as t
where t.product_type = 'unattributed'
order by t.paid_at asc, t.id asc

-- Payments at a time that cannot be: before 2010, or more than a day ahead. They have no time and no fiscal period.
select
    t.id as transaction_id,
    t.xendit_invoice_id as invoice,
    source.paid_at::text as said,
    t.amount,
    t.currency
from staging.transactions as t
inner join input.xendit_invoices as source on t.xendit_invoice_id = source.id
where t.paid_at is null
order by t.amount desc, t.id asc

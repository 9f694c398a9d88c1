-- Paid invoices whose payment was reversed or voided: Xendit says PAID, and nothing is kept.
select
    t.id as transaction_id,
    t.xendit_invoice_id as invoice,
    t.amount,
    t.currency,
    t.paid_at
from staging.transactions as t
inner join input.invoice as invoice on t.xendit_invoice_id = invoice.id
where invoice.reversed > 0
order by t.amount desc, t.id asc

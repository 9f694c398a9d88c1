-- Paid invoices for which Xendit shows no payment: kept, without fee and net amount.
select
    t.id as transaction_id,
    t.xendit_invoice_id,
    t.paid_at,
    t.amount
from staging.transactions as t
where
    t.transaction_type = 'payment'
    and t.xendit_transaction_id is null
order by t.amount desc, t.id asc

-- Invoices that were paid more than once, with what is kept of it beyond what was due.
select
    t.id as transaction_id,
    t.xendit_invoice_id as invoice,
    count(payment.transaction_id) as payments,
    money.received,
    money.extra,
    t.amount - t.refunded_amount as kept,
    t.currency
from staging.transactions as t
inner join input.money as money on t.xendit_invoice_id = money.invoice_id
inner join input.payment as payment on money.invoice_id = payment.invoice_id and payment.status = 'SUCCESS'
group by t.id, t.xendit_invoice_id, t.amount, t.refunded_amount, t.currency, money.received, money.extra
having count(payment.transaction_id) > 1
order by money.extra desc, t.id asc

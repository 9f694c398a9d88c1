-- Each return is in the transaction that it undoes: refunds and chargebacks that succeeded, less those that were
-- rejected, add up to what transactions say has gone back, and to what undid a second payment.
with
returned as (
    select
        refund.invoice_id,
        sum(case when t.cashflow = 'MONEY_IN' then -abs(t.amount) else abs(t.amount) end) as amount
    from input.xendit_transactions as t
    left join input.refund as refund on t.id = refund.transaction_id
    where
        t.type in ('REFUND', 'CHARGEBACK')
        and t.status = 'SUCCESS'
        and not exists (
            select
            from cutover.rejects as r
            where r.run = %(run)s and r.source = 'xendit_transactions' and r.source_id = t.id
        )
    group by refund.invoice_id
)

select
    t.id as transaction_id,
    returned.invoice_id,
    returned.amount as returned,
    t.refunded_amount as staged
from returned
left join staging.transactions as t on returned.invoice_id = t.xendit_invoice_id
left join input.invoice as invoice on returned.invoice_id = invoice.id
where
    t.id is null
    -- kept = received - returned, rounded twice: amount and refunded amount
    or abs((t.amount - t.refunded_amount) - (invoice.received - invoice.reversed - returned.amount)) > 0.01

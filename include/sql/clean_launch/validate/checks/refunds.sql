-- What went back is all in refunded_amount: refunds and chargebacks that succeeded, less those that were rejected.
with
returned as (
    select coalesce(sum(abs(t.amount)), 0) as amount
    from input.xendit_transactions as t
    where
        t.type in ('REFUND', 'CHARGEBACK')
        and t.status = 'SUCCESS'
        and t.cashflow is distinct from 'MONEY_IN'
        and not exists (
            select
            from cutover.rejects as r
            where r.run = %(run)s and r.source = 'xendit_transactions' and r.source_id = t.id
        )
),

staged as (
    select coalesce(sum(refunded_amount), 0) as amount
    from staging.transactions
)

select
    returned.amount as returned,
    staged.amount as staged
from returned
cross join staged
where returned.amount <> staged.amount

-- Kept money by product, month and currency as staged equals what the raw rows add up to: payments less what went back,
-- without the rows that were rejected.
with
rejected as (
    select
        source,
        source_id
    from cutover.rejects
    where run = %(run)s
),

came as (
    select
        payment.invoice_id,
        count(*) filter (where t.status = 'SUCCESS' and own.is_own) as payments,
        sum(t.amount) filter (where t.status = 'SUCCESS' and own.is_own) as amount,
        count(*) filter (where t.status = 'SUCCESS') as successes,
        count(*) filter (where t.status in ('REVERSED', 'VOIDED')) as reversals,
        (array_agg(case when own.is_own then t.amount end order by payment.place))[1] as first_amount,
        (array_agg(t.created order by payment.place))[1] as first_at
    from input.payment as payment
    inner join input.xendit_transactions as t on payment.transaction_id = t.id
    inner join input.xendit_invoices as i on payment.invoice_id = i.id
    cross join
        lateral (
            select
                upper(btrim(coalesce(t.currency, i.currency, 'PHP'))) = upper(btrim(coalesce(i.currency, 'PHP')))
                and t.amount > 0
                and t.amount < 9999999999.99 as is_own
        ) as own
    group by payment.invoice_id
),

went as (
    select
        refund.invoice_id,
        sum(case when t.cashflow = 'MONEY_IN' then -abs(t.amount) else abs(t.amount) end) as amount
    from input.refund as refund
    inner join input.xendit_transactions as t on refund.transaction_id = t.id
    where not exists (select from rejected where source = 'xendit_transactions' and source_id = t.id)
    group by refund.invoice_id
),

raw_invoice as (
    select
        coalesce(
            (
                select p.product_type
                from input.product as p
                where cutover.folded(i.description) like cutover.folded(p.description_pattern)
                order by p.priority
                limit 1
            ),
            'unattributed'
        ) as product_type,
        coalesce(i.paid_at, came.first_at, i.updated, i.created) as paid_at,
        i.created,
        upper(btrim(coalesce(i.currency, 'PHP'))) as currency,
        case when came.payments > 1 then came.amount else coalesce(i.paid_amount, came.first_amount, i.amount) end
            as received,
        case when came.payments > 1 then greatest(came.amount - coalesce(i.paid_amount, i.amount), 0) else 0 end
            as extra,
        coalesce(came.successes, 0) = 0 and came.reversals > 0 as is_reversed,
        coalesce(went.amount, 0) as went
    from input.xendit_invoices as i
    left join came on i.id = came.invoice_id
    left join went on i.id = went.invoice_id
    where
        i.status in ('PAID', 'SETTLED')
        and not exists (select from rejected where source = 'xendit_invoices' and source_id = i.id)
),

raw_money as (
    select
        raw_invoice.*,
        went + case when is_reversed then received else 0 end as returned
    from raw_invoice
),

raw_revenue as (
    select
        product_type,
        date_trunc(
            'month',
            case
                when paid_at >= '2010-01-01 00:00:00+00' and paid_at < statement_timestamp() + interval '1 day'
                    then paid_at
                else coalesce(created, paid_at)
            end at time zone 'Asia/Manila'
        ) as month,
        currency,
        count(*) as invoices,
        sum(
            cutover.rounded(received - least(returned, extra), currency)
            - cutover.rounded(returned - least(returned, extra), currency)
        ) as amount
    from raw_money
    group by 1, 2, 3
),

staged_revenue as (
    select
        product_type,
        date_trunc('month', coalesce(paid_at, created_at) at time zone 'Asia/Manila') as month,
        currency,
        count(*) as transactions,
        sum(amount - refunded_amount) as amount
    from staging.transactions
    where transaction_type = 'payment'
    group by 1, 2, 3
)

select
    coalesce(r.product_type, s.product_type) as product_type,
    coalesce(r.month, s.month) as month,
    coalesce(r.currency, s.currency) as currency,
    r.invoices,
    s.transactions,
    r.amount as raw_amount,
    s.amount as staged_amount
from raw_revenue as r
full join staged_revenue as s
    on
        r.product_type = s.product_type
        and r.month = s.month
        and r.currency = s.currency
where
    r.invoices is distinct from s.transactions
    or r.amount is distinct from s.amount

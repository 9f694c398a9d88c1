-- Revenue by product and month as staged equals the revenue of the raw invoices, without those that were rejected.
with
raw_revenue as (
    select
        coalesce(
            (
                select p.product_type
                from input.product as p
                where i.description ilike p.description_pattern
                order by p.priority
                limit 1
            ),
            'unattributed'
        ) as product_type,
        date_trunc('month', coalesce(i.paid_at, t.created, i.updated, i.created) at time zone 'Asia/Manila') as month,
        coalesce(i.currency, 'PHP') as currency,
        count(*) as invoices,
        sum(coalesce(i.paid_amount, t.amount, i.amount)) as amount
    from input.xendit_invoices as i
    left join input.payment as p on i.id = p.invoice_id
    left join input.xendit_transactions as t on p.transaction_id = t.id
    where
        i.status in ('PAID', 'SETTLED')
        and not exists (
            select
            from cutover.rejects as r
            where r.run = %(run)s and r.source = 'xendit_invoices' and r.source_id = i.id
        )
    group by 1, 2, 3
),

staged_revenue as (
    select
        product_type,
        date_trunc('month', paid_at at time zone 'Asia/Manila') as month,
        currency,
        count(*) as transactions,
        sum(amount) as amount
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

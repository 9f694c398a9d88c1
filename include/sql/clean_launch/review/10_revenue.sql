-- Revenue by product, refunds and chargebacks taken off, before and after.
with
counted as (
    select
        'before' as moment,
        product_type,
        currency,
        amount - refunded_amount as amount
    from input.transactions
    where status in ('paid', 'settled', 'partially_refunded', 'refunded', 'charged_back')
    union all
    select
        'after' as moment,
        product_type,
        currency,
        amount - refunded_amount as amount
    from staging.transactions
)

select
    coalesce(product_type, 'none') as product,
    currency,
    coalesce(sum(amount) filter (where moment = 'before'), 0) as before,
    coalesce(sum(amount) filter (where moment = 'after'), 0) as after,
    coalesce(sum(amount) filter (where moment = 'after'), 0)
    - coalesce(sum(amount) filter (where moment = 'before'), 0) as change
from counted
group by 1, 2
order by 1, 2

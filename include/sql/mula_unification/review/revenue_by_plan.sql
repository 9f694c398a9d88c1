-- Monthly recurring revenue by plan
with
before as (
    select
        plan_name,
        sum(monthly_amount) as revenue
    from input.billed
    where status = 'active' and monthly_amount <> 'NaN'
    group by plan_name
),

after as (
    select
        coalesce(plan_name, 'none') as plan_name,
        sum(monthly_amount) as revenue
    from staging.subscriptions
    where status = 'active'
    group by 1
)

select
    coalesce(before.plan_name, after.plan_name) as plan,
    coalesce(before.revenue, 0) as before,
    coalesce(after.revenue, 0) as after
from before
full join after on before.plan_name = after.plan_name
order by 1

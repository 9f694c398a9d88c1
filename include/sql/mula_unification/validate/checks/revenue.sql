-- Monthly recurring revenue by plan as staged equals that of the sources, without what was rejected and counting a
-- subscription that both applications know once; in a repeat, with what the unified database has made of it.
with
source_subscription as (
    select
        'dasha' as source,
        id::text as legacy_id,
        plan_name,
        monthly_amount
    from input.dasha_subscriptions
    where status = 'active'
    union all
    select
        'compatibility' as source,
        id::text as legacy_id,
        plan_name,
        monthly_amount
    from input.compatibility_subscriptions
    where status = 'active'
),

before as (
    select
        coalesce(source.plan_name, 'none') as plan_name,
        sum(source.monthly_amount) as revenue
    from (
        select
            source_subscription.plan_name,
            source_subscription.monthly_amount
        from source_subscription
        inner join input.subscription as judged
            on source_subscription.source = judged.source and source_subscription.legacy_id = judged.legacy_id
        where judged.fate = 'staged'
        union all
        select
            live.plan_name,
            live.monthly_amount
        from input.live_subscriptions as live
        where
            live.status = 'active'
            and not exists (
                select from input.subscription as judged where judged.id = live.id and judged.fate = 'staged'
            )
    ) as source
    group by 1
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
    coalesce(before.plan_name, after.plan_name) as plan_name,
    before.revenue as before,
    after.revenue as after
from before
full join after on before.plan_name = after.plan_name
where before.revenue is distinct from after.revenue

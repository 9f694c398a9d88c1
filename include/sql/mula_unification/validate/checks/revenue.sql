-- Monthly recurring revenue by plan as staged equals that of the sources, counted from their rows and not from what was
-- made of them: every active subscription once, in the state of its last modification, without the rejected ones (each
-- of which is named, with its amount) and those of accounts that were deleted in the unified database. In a repeat, a
-- subscription that the unified database has of its own, or has changed, counts as it is there.
with
source_subscription as (
    select
        'dasha' as source,
        id::text as id,
        user_id::text as user_id,
        stripe_subscription_id,
        plan_name,
        monthly_amount,
        status,
        started_at,
        updated_at,
        api_synced_at
    from input.dasha_subscriptions
    union all
    select
        'compatibility' as source,
        id::text as id,
        user_id::text as user_id,
        stripe_subscription_id,
        plan_name,
        monthly_amount,
        status,
        started_at,
        updated_at,
        api_synced_at
    from input.compatibility_subscriptions
),

usable as (
    select
        subscription.*,
        md5('mula_unification/subscriptions/' || subscription.source || '/' || subscription.id)::uuid as unified_id,
        nullif(btrim(subscription.stripe_subscription_id), '') as stripe
    from source_subscription as subscription
    where
        not exists (
            select
            from cutover.rejects as reject
            where
                reject.run = %(run)s
                and reject.source = subscription.source || '_subscriptions'
                and reject.source_id = subscription.id::text
        )
        and not exists (
            select
            from input.account as account
            where
                account.source = subscription.source
                and account.legacy_id = subscription.user_id::text
                and account.fate = 'left_out'
        )
),

latest as (
    select distinct on (coalesce(stripe, unified_id::text))
        unified_id,
        stripe,
        plan_name,
        monthly_amount,
        status
    from usable
    order by
        coalesce(stripe, unified_id::text) asc,
        coalesce(updated_at, started_at, api_synced_at) desc,
        coalesce(started_at, api_synced_at) desc,
        unified_id asc
),

-- what the unified database says goes before what the sources say
known as (
    select
        live.*,
        change.id is not null
        or not exists (select from usable where usable.unified_id = live.id) as stands
    from input.live_subscriptions as live
    left join input.live_changed as change on live.id = change.id and change.table_name = 'subscriptions'
),

counted as (
    select
        plan_name,
        monthly_amount
    from latest
    where
        status = 'active'
        and not exists (
            select
            from known
            where
                (known.stands and (known.id = latest.unified_id or known.stripe_subscription_id = latest.stripe))
        )
        and not exists (
            select
            from input.live_changed as change
            where change.id = latest.unified_id and change.table_name = 'subscriptions' and change.is_deleted
        )
    union all
    select
        plan_name,
        monthly_amount
    from known
    where stands and status = 'active'
),

before as (
    select
        coalesce(plan_name, 'none') as plan_name,
        sum(monthly_amount) as revenue
    from counted
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

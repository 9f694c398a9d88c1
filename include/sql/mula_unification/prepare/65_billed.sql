-- What the sources bill: every subscription once, whichever applications know it, as it was modified last. From their
-- own rows, and not from what becomes of them.
drop table if exists input.billed;

create table input.billed as
with source_subscription as (
    select
        'dasha' as source,
        id::text as id,
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
        stripe_subscription_id,
        plan_name,
        monthly_amount,
        status,
        started_at,
        updated_at,
        api_synced_at
    from input.compatibility_subscriptions
)

select distinct on (coalesce(nullif(btrim(stripe_subscription_id), ''), source || '/' || id))
    coalesce(plan_name, 'none') as plan_name,
    monthly_amount,
    status
from source_subscription
order by
    coalesce(nullif(btrim(stripe_subscription_id), ''), source || '/' || id) asc,
    coalesce(updated_at, started_at, api_synced_at) desc,
    -- as 60_subscription.sql tells apart what was modified at one moment
    coalesce(started_at, api_synced_at) desc,
    md5('mula_unification/subscriptions/' || source || '/' || id)::uuid asc;

analyze input.billed;

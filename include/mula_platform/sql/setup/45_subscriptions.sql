-- Which application each subscription with a Stripe id is of, and since when its source knows what it is. Again after
-- every launch: new ones come, and a source that was open meanwhile may have been told more.

-- an event that is being taken either finds what is written here, or is found by who catches up after this
lock table platform.stripe_event in share mode;

insert into platform.stripe_subscription as known (
    source, subscription_id, known_at, status, plan_name, monthly_amount, next_billing_at
)
with
source_row as (
    select
        'dasha' as source,
        nullif(btrim(stripe_subscription_id), '') as subscription_id,
        coalesce(updated_at, started_at, api_synced_at) as changed_at
    from raw.dasha_subscriptions
    union all
    select
        'compatibility' as source,
        nullif(btrim(stripe_subscription_id), '') as subscription_id,
        coalesce(updated_at, started_at, api_synced_at) as changed_at
    from raw.compatibility_subscriptions
),

-- one that both applications know is one row, in the state of the last word
newest as (
    select
        subscription_id,
        array_agg(distinct source) as sources,
        max(changed_at) as known_at
    from source_row
    group by subscription_id
)

select
    of_source.source,
    n.subscription_id,
    n.known_at,
    s.status,
    s.plan_name,
    s.monthly_amount,
    s.next_billing_at
from newest as n
cross join lateral unnest(n.sources) as of_source (source)
inner join public.subscriptions as s on n.subscription_id = s.stripe_subscription_id
on conflict (source, subscription_id) do update
    set
        known_at = excluded.known_at,
        status = excluded.status,
        plan_name = excluded.plan_name,
        monthly_amount = excluded.monthly_amount,
        next_billing_at = excluded.next_billing_at
    where known.known_at < excluded.known_at;

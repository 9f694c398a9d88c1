-- The subscription in its source.
select
    'dasha_subscriptions' as raw_table,
    id::text as raw_id,
    'subscription' as role
from raw.dasha_subscriptions
where md5('mula_unification/subscriptions/dasha/' || id)::uuid = $1::uuid
union all
select
    'compatibility_subscriptions' as raw_table,
    id::text as raw_id,
    'subscription' as role
from raw.compatibility_subscriptions
where md5('mula_unification/subscriptions/compatibility/' || id)::uuid = $1::uuid

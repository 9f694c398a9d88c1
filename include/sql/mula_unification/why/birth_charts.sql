-- The chart in its source: the id is derived from it, so it is found by deriving it again.
select
    'dasha_birth_charts' as raw_table,
    id::text as raw_id,
    'chart' as role
from raw.dasha_birth_charts
where md5('mula_unification/birth_charts/dasha/' || id)::uuid = $1::uuid
union all
select
    'compatibility_birth_charts' as raw_table,
    id::text as raw_id,
    'chart' as role
from raw.compatibility_birth_charts
where md5('mula_unification/birth_charts/compatibility/' || id)::uuid = $1::uuid

-- The row in the Dasha Timer.
select
    'dasha_dasha_data' as raw_table,
    id::text as raw_id,
    'period' as role
from raw.dasha_dasha_data
where md5('mula_unification/dasha_data/dasha/' || id)::uuid = $1::uuid

-- The result in Compatibility.
select
    'compatibility_results' as raw_table,
    id::text as raw_id,
    'result' as role
from raw.compatibility_results
where md5('mula_unification/compatibility_results/compatibility/' || id)::uuid = $1::uuid

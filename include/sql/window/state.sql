-- Who has fenced this database; no row when nobody has.
select coalesce(obj_description(n.oid, 'pg_namespace'), '') as fenced_by
from pg_catalog.pg_namespace as n
where n.nspname = 'cutover_fence'

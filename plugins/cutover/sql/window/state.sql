-- Who has fenced this database; no row when nobody has, or when the fence was opened and is only not yet taken away.
select coalesce(obj_description(n.oid, 'pg_namespace'), '') as fenced_by
from pg_catalog.pg_namespace as n
where
    n.nspname = 'cutover_fence'
    and not starts_with(coalesce(obj_description(n.oid, 'pg_namespace'), ''), 'opened by run ')

select
    c.oid::text as oid,
    c.relfilenode::bigint as filenode
from pg_catalog.pg_class as c
where c.oid = any(%(tables)s::oid[])
order by 1

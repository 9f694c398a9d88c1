-- Whether the engine's tables are here and may be read: the first task of all makes them.
select count(*) = 1 as is_there
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where
    n.nspname = 'cutover'
    and c.relname = 'run'
    and pg_catalog.has_schema_privilege(n.oid, 'usage')
    and pg_catalog.has_table_privilege(c.oid, 'select')

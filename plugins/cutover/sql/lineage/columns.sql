-- The columns of all tables of some schemas, with their types in full.
select
    n.nspname || '.' || c.relname as table_name,
    a.attname as column_name,
    format_type(a.atttypid, a.atttypmod) as type
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
inner join pg_catalog.pg_attribute as a on c.oid = a.attrelid
where
    n.nspname = any(%(schemas)s)
    and c.relkind in ('r', 'p', 'v', 'm', 'f')
    and a.attnum > 0
    and not a.attisdropped
order by c.oid asc, a.attnum asc

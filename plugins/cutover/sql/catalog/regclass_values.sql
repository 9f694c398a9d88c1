-- Columns of type regclass in the application's tables, each with a query that counts the rows which name a table of
-- the set (or a materialized view over it) by its identity. Afterwards they name the old one.
select
    format('%%I.%%I.%%I', n.nspname, c.relname, a.attname) as object,
    format(
        'select count(*) from %%I.%%I where %%I = any(%%L::oid[])',
        n.nspname, c.relname, a.attname, %(tables)s::oid[]
    ) as statement
from pg_catalog.pg_attribute as a
join pg_catalog.pg_class as c on c.oid = a.attrelid and c.relkind in ('r', 'p') and not c.relispartition
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where a.atttypid = 'pg_catalog.regclass'::regtype and a.attnum > 0 and not a.attisdropped
    and n.nspname not in ('pg_catalog', 'information_schema', 'staging', 'input', 'cutover')
    and n.nspname not like 'backup\_%%' and n.nspname not like 'pg\_temp\_%%'
    and has_table_privilege(c.oid, 'SELECT')
order by 1

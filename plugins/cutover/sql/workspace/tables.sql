-- Everything in the schemas of a run, which whoever works in them has made.
select
    n.nspname as schema_name,
    c.relname as table_name
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where n.nspname in ('input', 'staging') and c.relkind in ('r', 'p')
order by 1, 2

-- Materialized views of an earlier attempt, or of the time when these tables were in production: in one statement,
-- because one may read another.
select
    'materialized views' as object,
    'drop materialized view ' || string_agg(c.oid::regclass::text, ', ' order by c.oid) as statement
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname = %(incoming_schema)s::text and c.relkind = 'm'
having count(*) > 0

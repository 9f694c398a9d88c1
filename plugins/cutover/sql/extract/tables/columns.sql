-- The columns of a table, in their order, with their types as PostgreSQL writes them.
select
    a.attname::text as name,
    format_type(a.atttypid, a.atttypmod) as type
from pg_catalog.pg_attribute as a
where
    a.attrelid = to_regclass(%(table)s)
    and a.attnum > 0
    and not a.attisdropped
order by a.attnum

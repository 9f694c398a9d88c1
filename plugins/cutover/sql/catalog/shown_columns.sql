-- The columns of a table, in their order, and whether their values are text.
select
    a.attname::text as name,
    t.typcategory = 'S' as is_text
from pg_catalog.pg_attribute as a
inner join pg_catalog.pg_type as t on a.atttypid = t.oid
where
    a.attrelid = to_regclass(%(table)s)
    and a.attnum > 0
    and not a.attisdropped
order by a.attnum

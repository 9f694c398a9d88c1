-- The columns of tables, each by its number, which it keeps whatever it is called later.
select
    a.attrelid as relid,
    jsonb_object_agg(a.attnum, a.attname) as columns
from pg_catalog.pg_attribute as a
where a.attrelid = any(%(tables)s::oid[]) and a.attnum > 0 and not a.attisdropped
group by a.attrelid

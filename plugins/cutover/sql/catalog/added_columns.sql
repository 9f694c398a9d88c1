-- Columns of a table beyond those that are declared, in their order. `is_filled`: it has values of its own, and is not
-- generated; `is_possible`: a row that is new can do without a value, and it stands behind every declared one.
select
    a.attname::text as name,
    a.attgenerated = '' as is_filled,
    a.attidentity = ''
    and (not a.attnotnull or a.atthasdef)
    and a.attnum > (
        select max(d.attnum)
        from pg_catalog.pg_attribute as d
        where d.attrelid = a.attrelid and d.attname = any(%(declared)s::text[])
    ) as is_possible
from pg_catalog.pg_attribute as a
where a.attrelid = to_regclass(%(table)s) and a.attnum > 0 and not a.attisdropped
    and a.attname <> all(%(declared)s::text[])
order by a.attnum

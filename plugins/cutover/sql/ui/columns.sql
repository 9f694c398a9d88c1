-- The columns of a table, and what kind of value each can hold, so that none is asked for what it cannot be.
select
    a.attname::text as column_name,
    case
        when t.oid = 'pg_catalog.uuid'::regtype then 'uuid'
        when t.typname in ('int2', 'int4', 'int8') then 'integer'
        when t.typcategory = 'S' then 'text'
        else 'other'
    end as kind
from pg_catalog.pg_attribute as a
join pg_catalog.pg_type as t on a.atttypid = t.oid
where a.attrelid = to_regclass(%(name)s) and a.attnum > 0 and not a.attisdropped
order by a.attnum

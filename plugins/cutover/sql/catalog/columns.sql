-- The columns of a table in their order: name, and type in full.
select
    a.attname,
    format_type(a.atttypid, a.atttypmod) || case
        -- one that is NOT VALID (since 18) is not to be relied on: old rows may break it
        when a.attnotnull and not exists (
                select from pg_catalog.pg_constraint as k
                where k.conrelid = a.attrelid and k.contype = 'n' and k.conkey = array[a.attnum] and not k.convalidated
            ) then ' not null'
        else ''
    end as type
from pg_catalog.pg_attribute as a
where a.attrelid = to_regclass(%(table)s) and a.attnum > 0 and not a.attisdropped
order by a.attnum

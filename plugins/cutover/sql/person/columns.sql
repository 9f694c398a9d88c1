-- Every table that the engine keeps rows in, and the tables of production whose rows lead to a person, with their
-- columns. Partitions are found by themselves.
select
    n.nspname::text as schema_name,
    c.relname::text as table_name,
    n.nspname ~ '^(raw|input|staging|cutover|backup)(_.*)?$' as is_ours,
    array_agg(a.attname::text order by a.attnum) as columns,
    array_agg(
        case
            when t.typcategory = 'A' then 'array'
            when t.oid = 'pg_catalog.bytea'::regtype then 'bytes'
            when t.oid in ('pg_catalog.json'::regtype, 'pg_catalog.jsonb'::regtype) then 'json'
            when t.typtype = 'c' then 'row'
            when t.typcategory = 'S' and a.attgenerated = '' then 'text'
            else 'other'
        end
        order by a.attnum
    ) as kinds,
    array_agg(pg_catalog.format_type(a.atttypid, a.atttypmod) order by a.attnum) as types
from pg_catalog.pg_class as c
join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
join pg_catalog.pg_attribute as a on c.oid = a.attrelid and a.attnum > 0 and not a.attisdropped
join pg_catalog.pg_type as t on a.atttypid = t.oid
where
    c.relkind = 'r'
    and c.relpersistence <> 't'
    and (
        n.nspname ~ '^(raw|input|staging|cutover|backup)(_.*)?$'
        or concat_ws('.', n.nspname, c.relname) = any(%(live)s::text[])
    )
group by n.nspname, c.relname
order by n.nspname, c.relname

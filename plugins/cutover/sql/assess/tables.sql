-- Every table that holds rows, with its size on disk, the rows that the server estimates, and its columns with their
-- types; not the server's own.
select
    n.nspname::text as schema_name,
    c.relname::text as table_name,
    pg_total_relation_size(c.oid) as bytes,
    greatest(c.reltuples, 0)::bigint as estimate,
    coalesce(
        (
            select jsonb_object_agg(a.attname, format_type(a.atttypid, a.atttypmod))
            from pg_catalog.pg_attribute as a
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        ),
        '{}'
    ) as columns
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where
    c.relkind in ('r', 'p')
    and not c.relispartition
    and n.nspname not in ('pg_catalog', 'information_schema')
    and n.nspname !~ '^pg_(toast|temp)'
order by n.nspname, c.relname

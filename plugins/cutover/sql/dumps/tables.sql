-- The tables that a dump holds rows of, and the columns that it has of each, in its order. What belongs to an extension
-- comes with the extension.
select
    n.nspname::text as schema_name,
    c.relname::text as table_name,
    coalesce(array_agg(a.attname::text order by a.attnum) filter (where a.attname is not null), '{{}}') as columns
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
left join pg_catalog.pg_attribute as a
    on c.oid = a.attrelid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
where
    c.relkind = 'r'
    and c.relpersistence <> 't'
    and n.nspname !~ '^pg_'
    and n.nspname <> 'information_schema'
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
group by n.nspname, c.relname
order by n.nspname collate "C", c.relname collate "C"

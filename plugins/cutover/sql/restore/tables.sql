-- What restoring needs to know of live tables and of their copies in a backup, in the order that they are named in.
with pair as (
    select
        p.place,
        p.schema_name,
        p.table_name,
        live.oid as oid,
        copy.oid as backup_oid
    from unnest(%(schemas)s::text[], %(tables)s::text[]) with ordinality as p (schema_name, table_name, place)
    left join pg_catalog.pg_class as live
        on live.relname = p.table_name and live.relnamespace = to_regnamespace(quote_ident(p.schema_name))
    left join pg_catalog.pg_class as copy
        on copy.relname = p.table_name and copy.relnamespace = to_regnamespace(quote_ident(%(backup_schema)s))
),

-- both_have: a column of both, of one type, that can be written
live_column as (
    select
        p.oid,
        a.attnum,
        a.attname::text as name,
        a.attidentity,
        a.attgenerated = '' and exists (
            select
            from pg_catalog.pg_attribute as b
            where
                b.attrelid = p.backup_oid and b.attname = a.attname and not b.attisdropped
                and b.atttypid = a.atttypid and b.atttypmod = a.atttypmod
        ) as both_have
    from pair as p
    join pg_catalog.pg_attribute as a on p.oid = a.attrelid and a.attnum > 0 and not a.attisdropped
),

key_column as (
    select
        k.conrelid as oid,
        array_agg(a.attname::text order by n.position) as names
    from pg_catalog.pg_constraint as k
    cross join lateral unnest(k.conkey) with ordinality as n (attnum, position)
    join pg_catalog.pg_attribute as a on k.conrelid = a.attrelid and n.attnum = a.attnum
    where k.contype = 'p' and k.conrelid in (select p.oid from pair as p)
    group by k.conrelid
)

select
    p.schema_name,
    p.table_name,
    p.oid,
    p.backup_oid,
    c.relhasrules as has_rules,
    pg_catalog.pg_get_userbyid(c.relowner) as owner,
    coalesce(k.names, '{{}}') as key,
    array(select l.name from live_column as l where l.oid = p.oid order by l.attnum) as all_columns,
    array(select l.name from live_column as l where l.oid = p.oid and l.both_have order by l.attnum) as columns,
    array(
        select l.name
        from live_column as l
        where l.oid = p.oid and l.both_have and l.attidentity = 'a' and l.name <> all(k.names)
    ) as always,
    -- what the application has taken away, or made something else, since
    array(
        select b.attname::text
        from pg_catalog.pg_attribute as b
        where
            b.attrelid = p.backup_oid and b.attnum > 0 and not b.attisdropped and b.attgenerated = ''
            and b.attname <> all(array(select l.name from live_column as l where l.oid = p.oid and l.both_have))
        order by b.attnum
    ) as lost_columns
from pair as p
left join pg_catalog.pg_class as c on p.oid = c.oid
left join key_column as k on p.oid = k.oid
order by p.place

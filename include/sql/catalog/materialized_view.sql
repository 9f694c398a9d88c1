-- A materialized view over the incoming tables, built before the lock: the same text, executed with the incoming
-- schema in front of the search_path, so that the bare names of swapped tables mean the new ones.
--
-- Run with the production schemas in the search_path.
with view as (
    select
        c.*,
        pg_get_viewdef(c.oid) as definition,
        format('%%I.%%I', n.nspname, c.relname) as name,
        n.nspname,
        (select a.amname from pg_catalog.pg_am as a where a.oid = c.relam) as method
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where c.oid = %(view)s::oid
)

select
    v.name as object,
    s.statement
from view as v
cross join
    lateral (
        select
            1 as position,
            format(
                'create materialized view %%I.%%I using %%I%%s as %%s', %(incoming_schema)s::text, v.relname, v.method,
                (
                    select ' with (' || string_agg(format('%%I = %%L', o.option_name, o.option_value), ', ') || ')'
                    from pg_options_to_table(v.reloptions) as o
                ),
                rtrim(v.definition, ';')
            ) as statement
        union all
        select
            3,
            replace(
                pg_get_indexdef(x.indexrelid),
                format(' ON %%s USING ', v.name),
                format(' ON %%I.%%I USING ', %(incoming_schema)s::text, v.relname)
            )
        from pg_catalog.pg_index as x
        where x.indrelid = v.oid
        union all
        select
            4,
            format('alter materialized view %%I.%%I cluster on %%I', %(incoming_schema)s::text, v.relname, i.relname)
        from pg_catalog.pg_index as x
        join pg_catalog.pg_class as i on i.oid = x.indexrelid
        where x.indrelid = v.oid and x.indisclustered
        union all
        select
            5,
            format(
                'alter materialized view %%I.%%I alter column %%I set statistics %%s',
                %(incoming_schema)s::text,
                v.relname,
                a.attname,
                a.attstattarget
            )
        from pg_catalog.pg_attribute as a
        where a.attrelid = v.oid and a.attnum > 0 and a.attstattarget >= 0
        union all
        select
            6,
            format(
                'comment on materialized view %%I.%%I is %%L',
                %(incoming_schema)s::text,
                v.relname,
                obj_description(v.oid, 'pg_class')
            )
        where obj_description(v.oid, 'pg_class') is not null
        union all
        select
            6,
            format(
                'comment on column %%I.%%I.%%I is %%L',
                %(incoming_schema)s::text,
                v.relname,
                a.attname,
                col_description(v.oid, a.attnum)
            )
        from pg_catalog.pg_attribute as a
        where a.attrelid = v.oid and a.attnum > 0 and col_description(v.oid, a.attnum) is not null
        union all
        select
            6,
            format(
                'comment on index %%I.%%I is %%L',
                %(incoming_schema)s::text,
                i.relname,
                obj_description(i.oid, 'pg_class')
            )
        from pg_catalog.pg_index as x
        join pg_catalog.pg_class as i on i.oid = x.indexrelid
        where x.indrelid = v.oid and obj_description(i.oid, 'pg_class') is not null
        union all
        select
            7,
            format('analyze %%I.%%I', %(incoming_schema)s::text, v.relname)
    ) as s
order by s.position

-- A materialized view over the incoming tables, built before the lock: the same text, executed with the incoming
-- schema in front of the search_path, so that the bare names of swapped tables mean the new ones. What hangs on it
-- comes afterwards, as with a table. One that was never filled stays so.
--
-- `definition` was rendered with the production schemas in the search_path. It is filled by its owner, as PostgreSQL
-- refreshes it, and never with the engine's rights: what it calls is the application's.
with view as (
    select
        c.*,
        %(definition)s::text as definition,
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
                'create materialized view %%I.%%I using %%I%%s%%s as %%s with no data',
                %(incoming_schema)s::text, v.relname, v.method,
                (
                    select ' with (' || string_agg(format('%%I = %%L', o.option_name, o.option_value), ', ') || ')'
                    from pg_options_to_table(v.reloptions) as o
                ),
                (
                    select format(' tablespace %%I', t.spcname)
                    from pg_catalog.pg_tablespace as t
                    where t.oid = v.reltablespace
                ),
                rtrim(v.definition, ';')
            ) as statement
        union all
        select
            1.2,
            format('grant usage, create on schema %%I to %%I', %(incoming_schema)s::text, pg_get_userbyid(v.relowner))
        where not has_schema_privilege(v.relowner, %(incoming_schema)s::text, 'CREATE')
            or not has_schema_privilege(v.relowner, %(incoming_schema)s::text, 'USAGE')
        union all
        select
            1.4,
            format(
                'alter materialized view %%I.%%I owner to %%I',
                %(incoming_schema)s::text, v.relname, pg_get_userbyid(v.relowner)
            )
        where pg_get_userbyid(v.relowner) <> current_user
        union all
        select
            1.6,
            format('refresh materialized view %%I.%%I', %(incoming_schema)s::text, v.relname)
        where v.relispopulated
    ) as s
order by s.position

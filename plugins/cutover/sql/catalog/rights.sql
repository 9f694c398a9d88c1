-- What the engine's role must be allowed to do, beside owning the tables that move: code, object, why, remedy.
-- Tables are looked up in the catalogue: a name in a schema that the role may not use cannot be resolved otherwise.
with me as (
    select
        r.rolname,
        r.rolsuper,
        r.rolbypassrls
    from pg_catalog.pg_roles as r
    where r.rolname = current_user
),

live as (
    select
        format('%%I.%%I', named.schema_name, named.table_name) as name,
        named.schema_name,
        named.privileges,
        n.oid as schema_oid,
        c.oid as table_oid,
        c.relrowsecurity,
        c.relforcerowsecurity,
        c.relowner
    from (
        -- update is what PostgreSQL asks of a role that locks a table against writers, and what makes an account void
        select
            m.schema_name,
            m.table_name,
            '{{select,insert,update,references}}'::text[] as privileges
        from unnest(%(merged_schemas)s::text[], %(merged_tables)s::text[]) as m (schema_name, table_name)
        union all
        select
            i.schema_name,
            i.table_name,
            '{{insert}}'::text[]
        from unnest(%(insert_schemas)s::text[], %(insert_tables)s::text[]) as i (schema_name, table_name)
    ) as named
    left join pg_catalog.pg_namespace as n on n.nspname = named.schema_name
    left join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = named.table_name
)

select
    'cannot-create-schemas' as code,
    current_database()::text as object,
    format('%%I may not create schemas in this database', me.rolname) as why,
    format('grant create on database %%I to %%I;', current_database(), me.rolname) as remedy
from me
where not has_database_privilege(current_database(), 'CREATE')
union all
select
    'cannot-create-tables',
    %(target_schema)s::text,
    format('%%I may not create tables in the schema that it moves tables into', me.rolname),
    format('grant usage, create on schema %%I to %%I;', %(target_schema)s::text, me.rolname)
from me
where not has_schema_privilege(%(target_schema)s::text, 'USAGE')
    or not has_schema_privilege(%(target_schema)s::text, 'CREATE')
union all
select
    'cannot-see-sessions',
    'pg_stat_activity',
    format(
        '%%I cannot see other sessions'' snapshots, and so not whether one is older than the staged rows; nor how far '
        'replicas are behind', me.rolname
    ),
    format('grant pg_read_all_stats to %%I;', me.rolname)
from me
where not pg_has_role(current_user, 'pg_read_all_stats', 'USAGE')
union all
select
    'table-missing',
    live.name,
    'the launch adds rows to it, and it does not exist',
    'check the names under merge and inserts in migration.yaml, and the database of the connection.'
from live
where live.table_oid is null
union all
select distinct
    'cannot-use-schema',
    live.schema_name,
    format('%%I may not use this schema, and the launch adds rows to tables in it', me.rolname),
    format('grant usage on schema %%I to %%I;', live.schema_name, me.rolname)
from me
cross join live
where live.schema_oid is not null and not has_schema_privilege(live.schema_oid, 'USAGE')
union all
select
    'cannot-write',
    live.name,
    format('%%I lacks %%s on it', me.rolname, lacking.privileges),
    format('grant %%s on %%s to %%I;', lacking.privileges, live.name, me.rolname)
from me
cross join live
cross join
    lateral (
        select string_agg(p.privilege, ', ' order by p.place) as privileges
        from unnest(live.privileges) with ordinality as p (privilege, place)
        where not has_table_privilege(live.table_oid, p.privilege)
    ) as lacking
where live.table_oid is not null and lacking.privileges is not null
union all
select
    'cannot-delete',
    format('%%I.%%I', n.nspname, c.relname),
    format('%%I may not take rows from it that a void account, or one that nobody has used, has there', me.rolname),
    format('grant delete%%s on %%I.%%I to %%I;', ', select (' || whose.columns || ')', n.nspname, c.relname, me.rolname)
from me
cross join unnest(%(delete_schemas)s::text[], %(delete_tables)s::text[]) as d (schema_name, table_name)
join pg_catalog.pg_namespace as n on n.nspname = d.schema_name
join pg_catalog.pg_class as c on c.relnamespace = n.oid and c.relname = d.table_name
cross join
    lateral (
        select
            string_agg(quote_ident(a.attname), ', ' order by a.attnum) as columns,
            bool_and(has_column_privilege(c.oid, a.attnum, 'SELECT')) as are_readable
        from pg_catalog.pg_attribute as a
        where a.attrelid = c.oid and a.attname in ('user_id', 'provider', 'identity_data') and not a.attisdropped
    ) as whose
where not (coalesce(whose.are_readable, true) and has_table_privilege(c.oid, 'DELETE'))
union all
-- a role that row-level security applies to sees no accounts, and would take every customer for a new one
select
    'rows-hidden',
    live.name,
    format('row-level security hides its rows from %%I', me.rolname),
    format('alter role %%I bypassrls;', me.rolname)
from me
cross join live
where live.relrowsecurity and not me.rolsuper and not me.rolbypassrls
    and (live.relforcerowsecurity or not pg_has_role(current_user, live.relowner, 'MEMBER'))

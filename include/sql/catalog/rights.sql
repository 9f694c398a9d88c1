-- What the engine's role must be allowed to do, beside owning the tables that move: code, object, why, remedy.
with me as (
    select
        r.rolname,
        r.rolsuper,
        r.rolbypassrls
    from pg_catalog.pg_roles as r
    where r.rolname = current_user
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
where not has_schema_privilege(%(target_schema)s::text, 'USAGE, CREATE')
union all
select
    'cannot-see-sessions',
    'pg_stat_activity',
    format(
        '%%I cannot see other sessions'' snapshots, and so not whether one is older than the staged rows', me.rolname
    ),
    format('grant pg_read_all_stats to %%I;', me.rolname)
from me
where not pg_has_role(current_user, 'pg_read_all_stats', 'MEMBER')
union all
select
    'merged-table-missing',
    m.name,
    'the migration merges rows into it, and it does not exist',
    'check the name under merge in migration.yaml, and the database of the connection.'
from unnest(%(merged)s::text[]) as m (name)
where to_regclass(m.name) is null
union all
select
    'cannot-merge',
    m.name,
    format('%%I lacks one of select, insert, references on it', me.rolname),
    format('grant select, insert, update, references on %%s to %%I;', m.name, me.rolname)
from me
cross join unnest(%(merged)s::text[]) as m (name)
where to_regclass(m.name) is not null
    and not (
        has_table_privilege(to_regclass(m.name), 'SELECT') and has_table_privilege(to_regclass(m.name), 'INSERT')
        and has_table_privilege(to_regclass(m.name), 'REFERENCES')
    )
union all
-- a role that row-level security applies to sees no accounts, and would take every customer for a new one
select
    'rows-hidden',
    m.name,
    format('row-level security hides its rows from %%I', me.rolname),
    format('alter role %%I bypassrls;', me.rolname)
from me
cross join unnest(%(merged)s::text[]) as m (name)
join pg_catalog.pg_class as c on c.oid = to_regclass(m.name)
where c.relrowsecurity and not me.rolsuper and not me.rolbypassrls
    and (c.relforcerowsecurity or not pg_has_role(current_user, c.relowner, 'MEMBER'))

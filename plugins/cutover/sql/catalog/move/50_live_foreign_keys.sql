-- Foreign keys to live tables, unvalidated: every account they need has been merged a moment ago, and the full check
-- runs after the lock. One statement per table.
(
    select
        k.conrelid::regclass::text as object,
        format(
            'alter table %%s %%s', k.conrelid::regclass,
            string_agg(
                format(
                    'add constraint %%I %%s%%s', k.conname, pg_get_constraintdef(k.oid),
                    case when k.convalidated then ' NOT VALID' end
                ), ', ' order by k.conname
            )
        ) as statement
    from pg_catalog.pg_constraint as k
    where k.conrelid = any(%(replaced)s::oid[]) and k.contype = 'f' and k.confrelid <> all(%(outgoing)s::oid[])
    group by k.conrelid
)
union all
select
    quote_ident(k.conname),
    format(
        'comment on constraint %%I on %%s is %%L',
        k.conname,
        k.conrelid::regclass,
        obj_description(k.oid, 'pg_constraint')
    )
from pg_catalog.pg_constraint as k
where k.conrelid = any(%(replaced)s::oid[]) and k.contype = 'f' and k.confrelid <> all(%(outgoing)s::oid[])
    and obj_description(k.oid, 'pg_constraint') is not null
union all
-- a table without a predecessor: what its DDL declares, or what it lost when it went to the backup
select
    r.constraint_name,
    format(
        'alter table %%I.%%I add constraint %%I %%s not valid',
        r.schema_name,
        r.table_name,
        r.constraint_name,
        r.definition
    )
from (
    select
        k.*,
        t.schema_name
    from cutover.released_key as k
    join unnest(%(arriving)s::text[], %(arriving_schemas)s::text[]) as t (table_name, schema_name)
        on t.table_name = k.table_name
    where k.backup_schema = %(incoming_schema)s::text
) as r

-- Foreign keys to a merged table, unvalidated: every account they need has been merged a moment ago, and the
-- full check runs after the lock. One statement per table.
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
    where k.conrelid = any(%(replaced)s::oid[]) and k.contype = 'f' and k.confrelid = any(%(merged)s::oid[])
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
where k.conrelid = any(%(replaced)s::oid[]) and k.contype = 'f' and k.confrelid = any(%(merged)s::oid[])
    and obj_description(k.oid, 'pg_constraint') is not null
union all
-- a table that comes back to where none is now: what it lost when it went to the backup
select
    r.constraint_name,
    format(
        'alter table %%I.%%I add constraint %%I %%s not valid',
        t.schema_name,
        r.table_name,
        r.constraint_name,
        r.definition
    )
from cutover.released_key as r
join pg_catalog.pg_class as c on c.relname = r.table_name
join unnest(%(incoming_relations)s::oid[], %(incoming_targets)s::text[]) as t (oid, schema_name) on t.oid = c.oid
where r.backup_schema = %(incoming_schema)s::text
    and not exists (
        select
        from pg_catalog.pg_class as o
        where o.oid = any(%(outgoing)s::oid[]) and o.relname = r.table_name
    )

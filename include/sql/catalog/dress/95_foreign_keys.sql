-- Foreign keys of the table itself: within the set to the incoming tables, otherwise to the live ones.
-- Those to a merged table (accounts that only exist once the merge has run) are added inside the lock. Validating
-- is a step of its own: the step before it locks a live table, and so must not read rows.
select
    quote_ident(k.conname) as object,
    format(
        'alter table %%s add constraint %%I %%s%%s', %(incoming)s::oid::regclass, k.conname,
        case
            when k.confrelid = any(%(tables)s::oid[])
                then replace(
                        pg_get_constraintdef(k.oid),
                        ' REFERENCES ' || k.confrelid::regclass || '(',
                        format(' REFERENCES %%I.%%I(', %(incoming_schema)s::text, f.relname)
                    )
            else pg_get_constraintdef(k.oid)
        end,
        case when k.convalidated then ' NOT VALID' end
    ) as statement
from pg_catalog.pg_constraint as k
join pg_catalog.pg_class as f on f.oid = k.confrelid
where k.conrelid = %(production)s::oid and k.contype = 'f' and k.confrelid <> all(%(merged)s::oid[])
union all
select
    quote_ident(k.conname),
    format('alter table %%s validate constraint %%I', %(incoming)s::oid::regclass, k.conname)
from pg_catalog.pg_constraint as k
where k.conrelid = %(production)s::oid and k.contype = 'f' and k.convalidated and k.confrelid <> all(%(merged)s::oid[])
union all
select
    quote_ident(k.conname),
    format(
        'comment on constraint %%I on %%s is %%L',
        k.conname,
        %(incoming)s::oid::regclass,
        obj_description(k.oid, 'pg_constraint')
    )
from pg_catalog.pg_constraint as k
where k.conrelid = %(production)s::oid and k.contype = 'f' and k.confrelid <> all(%(merged)s::oid[])
    and obj_description(k.oid, 'pg_constraint') is not null

-- Foreign keys of tables outside the set: one statement per table drops the old and adds the new, unvalidated.
--
-- A key of a partitioned table cannot be added unvalidated before PostgreSQL 18. There its partitions get it one by
-- one, which holds for every row written from here on; when those have been validated, after the lock, the
-- partitioned table takes them over without reading a row (see attach.sql).
(
    select
        k.conrelid::regclass::text as object,
        concat_ws(
            ', ',
            'alter table ' || k.conrelid::regclass || ' ' || string_agg(format('drop constraint %%I', k.conname), ', '),
            string_agg(
                format(
                    'add constraint %%I %%s%%s', k.conname, pg_get_constraintdef(k.oid),
                    case when k.convalidated then ' NOT VALID' end
                ), ', '
            ) filter (where k.oid <> all(%(attached_keys)s::oid[]))
        ) as statement
    from pg_catalog.pg_constraint as k
    where k.oid = any(%(outside_keys)s::oid[])
    group by k.conrelid
)
union all
(
    select
        k.conrelid::regclass::text,
        format(
            'alter table %%s %%s', k.conrelid::regclass,
            string_agg(format('add constraint %%I %%s NOT VALID', k.conname, pg_get_constraintdef(k.oid)), ', ')
        )
    from pg_catalog.pg_constraint as k
    where k.oid = any(%(leaf_keys)s::oid[])
    group by k.conrelid
)
union all
select
    k.conrelid::regclass::text,
    format(
        'comment on constraint %%I on %%s is %%L',
        k.conname,
        k.conrelid::regclass,
        obj_description(k.oid, 'pg_constraint')
    )
from pg_catalog.pg_constraint as k
where (
    k.oid = any(%(outside_keys)s::oid[]) and k.oid <> all(%(attached_keys)s::oid[]) or k.oid = any(%(leaf_keys)s::oid[])
)
and obj_description(k.oid, 'pg_constraint') is not null

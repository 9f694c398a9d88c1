-- Foreign keys of tables outside the set: one statement per table drops the old and adds the new, unvalidated.
-- A key on a partitioned table cannot be added unvalidated before PostgreSQL 18.
select
    k.conrelid::regclass::text as object,
    format(
        'alter table %%s %%s, %%s', k.conrelid::regclass,
        string_agg(format('drop constraint %%I', k.conname), ', '),
        string_agg(
            format(
                'add constraint %%I %%s%%s', k.conname, pg_get_constraintdef(k.oid),
                case
                    when k.convalidated and (c.relkind <> 'p' or current_setting('server_version_num')::integer >= 180000)
                        then ' NOT VALID'
                end
            ), ', '
        )
    ) as statement
from pg_catalog.pg_constraint as k
join pg_catalog.pg_class as c on c.oid = k.conrelid
where k.oid = any(%(outside_keys)s::oid [])
group by k.conrelid
union all
select
    k.conrelid::regclass::text,
    format('comment on constraint %%I on %%s is %%L', k.conname, k.conrelid::regclass, obj_description(k.oid, 'pg_constraint'))
from pg_catalog.pg_constraint as k
where k.oid = any(%(outside_keys)s::oid []) and obj_description(k.oid, 'pg_constraint') is not null

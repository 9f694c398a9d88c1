-- Foreign keys of partitioned tables that a swap has left to their partitions. Adding them takes the partitions'
-- validated ones over: no row is read.
select
    a.object,
    concat_ws(
        '; ',
        format('alter table %%s add constraint %%I %%s', a.table_name, a.constraint_name, a.definition),
        'comment on constraint '
        || quote_ident(a.constraint_name)
        || ' on '
        || a.table_name
        || ' is '
        || quote_literal(a.comment)
    ) as statement
from jsonb_to_recordset(%(keys)s::jsonb) as a (
        object text, table_name text, constraint_name text, definition text, comment text
    )
where to_regclass(a.table_name) is not null
    and not exists (
        select from pg_catalog.pg_constraint as k
        where k.conrelid = to_regclass(a.table_name) and k.conname = a.constraint_name
    )
order by a.object

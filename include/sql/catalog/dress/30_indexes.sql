-- Indexes that no constraint makes. The definition names its table once, after ON.
select
    i.relname as object,
    replace(
        pg_get_indexdef(x.indexrelid),
        format(' ON %%s USING ', %(production)s::oid::regclass),
        format(' ON %%s USING ', %(incoming)s::oid::regclass)
    ) as statement
from pg_catalog.pg_index as x
join pg_catalog.pg_class as i on i.oid = x.indexrelid
where x.indrelid = %(production)s::oid
    and not exists (
        select from pg_catalog.pg_constraint as k
        where k.conindid = x.indexrelid and k.conrelid = x.indrelid and k.contype in ('p', 'u', 'x')
    )
    and not exists (
        select
        from pg_catalog.pg_index as y
        join pg_catalog.pg_class as j on j.oid = y.indexrelid and j.relname = i.relname
        where y.indrelid = %(incoming)s::oid
    )
order by i.relname

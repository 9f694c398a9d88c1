-- Indexes that no constraint makes. The definition up to the table's name is known letter by letter: nothing is
-- searched for in it. One that is invalid, left over from a failed CREATE INDEX CONCURRENTLY, stays with the old table.
with index_of as (
    select
        x.indexrelid,
        i.relname,
        s.spcname,
        coalesce(
            %(texts)s::jsonb -> 'index' -> x.indexrelid::text ->> 0, pg_get_indexdef(x.indexrelid)
        ) as definition,
        format('CREATE %%sINDEX %%I ON ', case when x.indisunique then 'UNIQUE ' end, i.relname) as head,
        format('%%I.%%I USING ', n.nspname, t.relname) as named
    from pg_catalog.pg_index as x
    join pg_catalog.pg_class as i on i.oid = x.indexrelid
    join pg_catalog.pg_class as t on t.oid = x.indrelid
    join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
    left join pg_catalog.pg_tablespace as s on s.oid = i.reltablespace
    where x.indrelid = %(production)s::oid and x.indisvalid
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
)

select
    x.relname as object,
    case
        when starts_with(x.definition, x.head || x.named) then concat(
                -- the definition does not say where the index lies
                format('set local default_tablespace = %%L; ', coalesce(x.spcname, '')),
                x.head, format('%%s USING ', %(incoming)s::oid::regclass),
                substr(x.definition, length(x.head || x.named) + 1)
            )
    end as statement
from index_of as x
order by x.relname

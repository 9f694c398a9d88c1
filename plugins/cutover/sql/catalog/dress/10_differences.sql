-- What the incoming table has and production has not, or has otherwise. After the load of a new table: nothing.
-- A table that comes back from a backup may differ by what was changed in production since.
with pair as (
    select
        %(production)s::oid as production,
        %(incoming)s::oid as incoming
),

-- an index by its name and by what follows the name of its table
index_of as (
    select
        x.indexrelid,
        x.indrelid,
        x.indisunique,
        x.indisvalid,
        i.relname,
        i.reltablespace,
        cutover.settled(substr(
            pg_get_indexdef(x.indexrelid),
            length(
                format(
                    'CREATE %%sINDEX %%I ON %%I.%%I ',
                    case when x.indisunique then 'UNIQUE ' end, i.relname, n.nspname, t.relname
                )
            )
        )) as definition
    from pair
    join pg_catalog.pg_index as x on x.indrelid in (pair.production, pair.incoming)
    join pg_catalog.pg_class as i on i.oid = x.indexrelid
    join pg_catalog.pg_class as t on t.oid = x.indrelid
    join pg_catalog.pg_namespace as n on n.oid = t.relnamespace
)

select
    quote_ident(i.conname) as object,
    format('alter table %%s drop constraint %%I', i.conrelid::regclass, i.conname) as statement
from pair
join pg_catalog.pg_constraint as i on i.conrelid = pair.incoming and i.contype in ('p', 'u', 'x', 'c', 'f')
where not exists (
        select from pg_catalog.pg_constraint as p
        left join pg_catalog.pg_class as a on a.oid = p.conindid
        left join pg_catalog.pg_class as b on b.oid = i.conindid
        where p.conrelid = pair.production and p.conname = i.conname and p.contype = i.contype and p.contype <> 'f'
            and cutover.settled(pg_get_constraintdef(p.oid)) = cutover.settled(pg_get_constraintdef(i.oid))
            and a.reltablespace is not distinct from b.reltablespace
    )
union all
select
    x.indexrelid::regclass::text,
    format('drop index %%s', x.indexrelid::regclass)
from pair
join index_of as x on x.indrelid = pair.incoming
where not exists (
        select from pg_catalog.pg_constraint as k where k.conindid = x.indexrelid and k.conrelid = pair.incoming
    )
    and not exists (
        select from index_of as y
        where y.indrelid = pair.production and y.relname = x.relname and y.definition = x.definition
            and y.indisunique = x.indisunique and y.reltablespace = x.reltablespace and y.indisvalid and x.indisvalid
    )
union all
select
    quote_ident(t.tgname),
    format('drop trigger %%I on %%s', t.tgname, t.tgrelid::regclass)
from pair
join pg_catalog.pg_trigger as t on t.tgrelid = pair.incoming and not t.tgisinternal
-- a constraint trigger goes with its constraint, which is dropped here as a trigger
union all
select
    quote_ident(p.polname),
    format('drop policy %%I on %%s', p.polname, p.polrelid::regclass)
from pair
join pg_catalog.pg_policy as p on p.polrelid = pair.incoming
union all
select
    quote_ident(w.rulename),
    format('drop rule %%I on %%s', w.rulename, w.ev_class::regclass)
from pair
join pg_catalog.pg_rewrite as w on w.ev_class = pair.incoming
union all
select
    quote_ident(s.stxname),
    format('drop statistics %%I.%%I', n.nspname, s.stxname)
from pair
join pg_catalog.pg_statistic_ext as s on s.stxrelid = pair.incoming
join pg_catalog.pg_namespace as n on n.oid = s.stxnamespace

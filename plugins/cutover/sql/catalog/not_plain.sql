-- Relations by name which run something when they are read or written: a view's query, a policy, a conversion of a type
-- that is not PostgreSQL's own. One that is not there runs nothing.
select
    c.oid::regclass::text as object,
    case
        when c.relkind <> 'r' then 'it is no table'
        when c.relrowsecurity then 'it has row-level security, whose policies may call anything'
        else format(
                'its column %%I is of type %%s, which somebody has made',
                a.attname,
                format_type(a.atttypid, a.atttypmod)
            )
    end as why
from unnest(%(names)s::text[]) as n (name)
join pg_catalog.pg_class as c on c.oid = to_regclass(n.name)
left join lateral (
    select
        l.attname,
        l.atttypid,
        l.atttypmod
    from pg_catalog.pg_attribute as l
    join pg_catalog.pg_type as y on y.oid = l.atttypid
    where l.attrelid = c.oid and l.attnum > 0 and not l.attisdropped
        and y.typnamespace <> 'pg_catalog'::regnamespace
    order by l.attnum
    limit 1
) as a on true
where c.relkind <> 'r' or c.relrowsecurity or a.attname is not null
order by 1

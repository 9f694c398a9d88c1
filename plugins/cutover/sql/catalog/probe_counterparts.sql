-- What stands in the schema of the rehearsed for each relation: the one of the same name, if only one has that name.
select
    c.oid::bigint as oid,
    c.oid::regclass::text as name,
    n.nspname,
    c.relname,
    case
        when count(*) over (partition by c.relname) = 1
            then to_regclass(format('%%I.%%I', %(schema)s::text, c.relname))::oid::bigint
    end as counterpart
from unnest(%(relations)s::oid[]) as r (oid)
join pg_catalog.pg_class as c on c.oid = r.oid
join pg_catalog.pg_namespace as n on n.oid = c.relnamespace

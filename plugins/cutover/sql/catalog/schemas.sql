select distinct n.nspname
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where c.oid = any(%(relations)s::oid[])
order by n.nspname

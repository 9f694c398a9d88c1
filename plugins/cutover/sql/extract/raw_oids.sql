select coalesce(array_agg(c.oid), '{{}}')
from unnest(%(names)s::text[]) as n (name)
inner join pg_catalog.pg_class as c on to_regclass(n.name) = c.oid

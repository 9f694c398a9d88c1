-- Names of relations of these schemas that the incoming schema has, too; not of those that are replaced.
select distinct c.relname as name
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
inner join pg_catalog.pg_class as i on c.relname = i.relname
inner join pg_catalog.pg_namespace as m on i.relnamespace = m.oid
where
    n.nspname = any(%(schemas)s)
    and m.nspname = %(incoming_schema)s
    and c.oid <> all(%(relations)s::oid[])
    and c.relkind not in ('i', 'I', 't')
    and i.relkind not in ('i', 'I', 't')
order by 1

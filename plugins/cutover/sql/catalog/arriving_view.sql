-- The view built beforehand that takes a view's place, and the schema where that is.
select
    to_regclass(format('%%I.%%I', %(incoming_schema)s::text, c.relname))::oid as oid,
    n.nspname
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where c.oid = %(view)s

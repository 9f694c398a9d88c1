select
    k.oid,
    n.nspname
from pg_catalog.pg_constraint as k
inner join pg_catalog.pg_class as c on k.confrelid = c.oid
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where k.contype = 'f' and k.conrelid::regclass || ':' || quote_ident(k.conname) = %(key_name)s

select
    d.oid::regtype::text as object,
    format('it is a domain or range over the row type of %%s', t.oid::regclass) as why,
    format('drop it, or base it on another type: drop domain %%s;', d.oid::regtype) as remedy
from pg_catalog.pg_class as t
join pg_catalog.pg_type as y on y.oid = t.reltype
join pg_catalog.pg_type as d on d.typbasetype in (y.oid, y.typarray)
where t.oid = any(%(tables)s::oid[] || %(rebuilt)s::oid[])

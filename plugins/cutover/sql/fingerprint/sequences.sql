-- The sequences that columns of a table own.
select
    n.nspname,
    s.relname
from pg_catalog.pg_depend as d
join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind = 'S'
join pg_catalog.pg_namespace as n on n.oid = s.relnamespace
where d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = to_regclass(%(table)s)
    and d.classid = 'pg_catalog.pg_class'::regclass and d.deptype in ('a', 'i')
order by 1, 2

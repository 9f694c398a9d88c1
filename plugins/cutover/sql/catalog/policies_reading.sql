-- Policies of a table that read one of these views.
select distinct quote_ident(p.polname) as name
from pg_catalog.pg_policy as p
inner join pg_catalog.pg_depend as d on d.classid = 'pg_catalog.pg_policy'::regclass and p.oid = d.objid
where
    p.polrelid = %(table)s
    and d.refclassid = 'pg_catalog.pg_class'::regclass
    and d.refobjid = any(%(views)s)

-- A temporary view of some session would read the old table from then on, and cannot be made again by another session.
select distinct
    pg_describe_object('pg_catalog.pg_class'::regclass, w.ev_class, 0) as object,
    format('a session reads %%s through this temporary view of its own', d.refobjid::regclass) as why,
    'end that session, or drop the view in it; then run again.' as remedy
from pg_catalog.pg_depend as d
join pg_catalog.pg_rewrite as w on d.classid = 'pg_catalog.pg_rewrite'::regclass and w.oid = d.objid
join pg_catalog.pg_class as c on c.oid = w.ev_class and c.relpersistence = 't'
where d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = any(%(tables)s::oid[] || %(rebuilt)s::oid[])

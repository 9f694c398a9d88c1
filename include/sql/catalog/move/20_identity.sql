-- The new identity sequence goes on where the old one stands, read inside the lock.
select
    s.oid::regclass::text as object,
    format('select setval(''%%I.%%I'', last_value, is_called) from %%s', %(incoming_schema)s::text, s.relname, s.oid::regclass) as statement
from pg_catalog.pg_depend as d
join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind = 'S'
where d.refobjid = any(%(replaced)s::oid []) and d.classid = 'pg_catalog.pg_class'::regclass and d.deptype = 'i'

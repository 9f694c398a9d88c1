select
    c.oid::regclass::text as object,
    format('it belongs to the extension %%I, which expects to find its own table', e.extname) as why,
    format('alter extension %%I drop table %%s; or leave the table out of the set.', e.extname, c.oid::regclass)
        as remedy
from pg_catalog.pg_class as c
join pg_catalog.pg_depend as d
    on d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
join pg_catalog.pg_extension as e on e.oid = d.refobjid
where c.oid = any(%(tables)s::oid[])

select
    c.oid::regclass::text as object,
    format('it carries a security label of provider %%s, which is not re-created', l.provider) as why,
    format('security label for %%I on table %%s is null;', l.provider, c.oid::regclass) as remedy
from pg_catalog.pg_class as c
join pg_catalog.pg_seclabel as l on l.objoid = c.oid and l.classoid = 'pg_catalog.pg_class'::regclass
where c.oid = any(%(tables)s::oid[])

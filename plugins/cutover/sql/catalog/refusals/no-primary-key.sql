-- Without a key a captured update or delete cannot be told which row it meant.
select
    c.oid::regclass::text as object,
    'it has no primary key, so a write captured on it could not be carried' as why,
    format('alter table %%s add primary key (...);', c.oid::regclass) as remedy
from pg_catalog.pg_class as c
where c.oid = any(%(tables)s::oid[])
    and not exists (select from pg_catalog.pg_constraint as k where k.conrelid = c.oid and k.contype = 'p')

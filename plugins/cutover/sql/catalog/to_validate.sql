-- Foreign keys, and checks that name a table, that a swap added unvalidated and that are not validated yet, with the
-- statement that does it.
select
    k.conrelid::regclass::text || ':' || quote_ident(k.conname) as object,
    format('alter table %%s validate constraint %%I', k.conrelid::regclass, k.conname) as statement
from pg_catalog.pg_constraint as k
where k.contype in ('f', 'c') and not k.convalidated and k.conparentid = 0
    and (k.conrelid::regclass::text || ':' || quote_ident(k.conname)) = any(%(constraints)s::text[])
order by 1

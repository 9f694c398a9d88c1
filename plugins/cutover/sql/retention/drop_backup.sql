-- What it takes to drop one backup, without CASCADE: if something still uses one of its tables, PostgreSQL says what.
(
    select
        format('drop materialized view %%s restrict', string_agg(c.oid::regclass::text, ', ' order by c.oid))
            as statement
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = %(schema)s and c.relkind = 'm'
    having count(*) > 0
)
union all
(
    select format('drop table %%s restrict', string_agg(c.oid::regclass::text, ', ' order by c.oid))
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    where n.nspname = %(schema)s and c.relkind = 'r'
    having count(*) > 0
)
union all
select format('drop schema %%I restrict', n.nspname)
from pg_catalog.pg_namespace as n
where n.nspname = %(schema)s

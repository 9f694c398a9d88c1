-- The owner first of all: PostgreSQL builds indexes, statistics and materialized views with the rights of the owner of
-- the table, and the application's expressions are to be evaluated with no others.
select
    'owner' as object,
    format('alter table %%s owner to %%I', i.oid::regclass, pg_get_userbyid(p.relowner)) as statement
from pg_catalog.pg_class as p
join pg_catalog.pg_class as i on i.oid = %(incoming)s::oid and i.relowner <> p.relowner
where p.oid = %(production)s::oid

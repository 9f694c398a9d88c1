-- The owners of the moving tables may use and create in the schemas they move between; nobody else may.
select distinct
    s.name as object,
    format('grant usage, create on schema %%I to %%I', s.name, pg_get_userbyid(c.relowner)) as statement
from pg_catalog.pg_class as c
cross join unnest(%(schemas)s::text[]) as s (name)
where c.oid = any(%(outgoing)s::oid[])
union
-- statistics may belong to somebody else
select
    s.name,
    format('grant usage, create on schema %%I to %%I', s.name, pg_get_userbyid(x.stxowner))
from pg_catalog.pg_statistic_ext as x
cross join unnest(%(schemas)s::text[]) as s (name)
where x.stxrelid = any(%(outgoing)s::oid[])

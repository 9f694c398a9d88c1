-- The new tables and indexes are to lie where the old ones do.
select distinct
    c.oid::regclass::text as object,
    format('it lies in the tablespace %%I, in which %%I may not create', s.spcname, current_user) as why,
    format('grant create on tablespace %%I to %%I;', s.spcname, current_user) as remedy
from pg_catalog.pg_class as c
join pg_catalog.pg_tablespace as s on s.oid = c.reltablespace
where (
    c.oid = any(%(tables)s::oid[] || %(rebuilt)s::oid[])
    or c.oid in (
        select x.indexrelid
        from pg_catalog.pg_index as x
        where x.indrelid = any(%(tables)s::oid[] || %(rebuilt)s::oid[])
    )
)
and not has_tablespace_privilege(s.oid, 'CREATE')

-- Live tables that foreign keys of the set refer to. Adding a key locks the table that it refers to against writers.
-- LOCK TABLE asks for more than REFERENCES: without it, the lock is left to the adding.
with referenced as (
    select k.confrelid as oid
    from pg_catalog.pg_constraint as k
    where k.contype = 'f' and k.conrelid = any(%(replaced)s::oid[])
    union
    select to_regclass(r.referenced_name)::oid
    from cutover.released_key as r
    where r.backup_schema = %(incoming_schema)s::text and r.table_name = any(%(arriving)s::text[])
)

select
    c.oid,
    c.oid::regclass::text as name
from referenced as r
join pg_catalog.pg_class as c on c.oid = r.oid
where c.oid <> all(%(outgoing)s::oid[])
    and has_table_privilege(c.oid, 'UPDATE, DELETE, TRUNCATE')
order by 2

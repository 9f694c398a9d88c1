-- What a partitioned table gets back after the lock, when its partitions have been validated.
select
    k.conrelid::regclass::text || ':' || quote_ident(k.conname) as object,
    k.conrelid::regclass::text as table_name,
    k.conname::text as constraint_name,
    pg_get_constraintdef(k.oid) as definition,
    obj_description(k.oid, 'pg_constraint') as comment
from pg_catalog.pg_constraint as k
where k.oid = any(%(attached_keys)s::oid[])
order by 1

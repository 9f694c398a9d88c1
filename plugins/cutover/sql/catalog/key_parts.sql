-- The parts of foreign keys of partitioned tables: one per partition, at every level, the table itself included.
with recursive part as (
    select
        k.oid,
        k.conrelid,
        k.conname
    from pg_catalog.pg_constraint as k
    where k.oid = any(%(keys)s::oid[])
    union all
    select
        k.oid,
        k.conrelid,
        k.conname
    from part as p
    join pg_catalog.pg_constraint as k on k.conparentid = p.oid and k.contype = 'f' and k.conrelid <> p.conrelid
)

select
    p.oid,
    p.conrelid::regclass::text || ':' || quote_ident(p.conname) as object,
    -- only these hold rows, and so a key of their own; the others are given theirs after the lock
    c.relkind <> 'p' as is_leaf
from part as p
join pg_catalog.pg_class as c on c.oid = p.conrelid
order by p.oid

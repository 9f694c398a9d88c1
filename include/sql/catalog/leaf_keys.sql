-- The partitions' own parts of foreign keys that partitioned tables have.
with recursive part as (
    select
        k.oid,
        k.conrelid
    from pg_catalog.pg_constraint as k
    where k.oid = any(%(keys)s::oid[])
    union all
    select
        k.oid,
        k.conrelid
    from part as p
    join pg_catalog.pg_constraint as k on k.conparentid = p.oid and k.contype = 'f' and k.conrelid <> p.conrelid
)

select p.oid
from part as p
join pg_catalog.pg_class as c on c.oid = p.conrelid
where c.relkind <> 'p'
order by p.oid

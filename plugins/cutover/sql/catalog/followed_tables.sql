-- Tables outside the set whose rows may have to follow it: those that refer to it, whose rows then refer to those, and
-- so on; of a partitioned one every partition. With the columns that a key may set to their default, and whether it
-- refers to the set itself.
with recursive referring as (
    select
        k.conrelid as oid,
        k.oid as key
    from pg_catalog.pg_constraint as k
    where k.contype = 'f' and k.confrelid = any(%(tables)s::oid[]) and k.conrelid <> all(%(fixed)s::oid[])
    union
    select
        k.conrelid,
        k.oid
    from referring as r
    join pg_catalog.pg_constraint as k on k.confrelid = r.oid
    where k.contype = 'f' and k.conrelid <> all(%(fixed)s::oid[])
)

select
    r.oid,
    array_agg(distinct quote_ident(a.attname)) filter (where k.confdeltype = 'd') as defaulted,
    bool_or(k.confrelid = any(%(tables)s::oid[])) as is_direct
from referring as r
join pg_catalog.pg_constraint as k on k.oid = r.key
join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = any(k.conkey)
group by r.oid
union
select
    p.relid::oid,
    null,
    true
from referring as r
cross join lateral pg_catalog.pg_partition_tree(r.oid) as p
where p.relid::oid <> r.oid

-- Tables outside the set that own something which the swap re-binds: a foreign key, policy, rule, trigger, default or
-- check.
select
    k.conrelid::oid as oid,
    k.conrelid::regclass::text as name
from pg_catalog.pg_constraint as k
where k.oid = any(%(outside_keys)s::oid[])
union
-- with their partitions, which have their own parts of the key
select
    l.relid::oid,
    l.relid::regclass::text
from pg_catalog.pg_constraint as k
join pg_catalog.pg_class as c on c.oid = k.conrelid and c.relkind = 'p'
cross join lateral pg_partition_tree(k.conrelid) as l
where k.oid = any(%(outside_keys)s::oid[])
union
select
    p.polrelid::oid,
    p.polrelid::regclass::text
from pg_catalog.pg_policy as p
where p.oid = any(%(outside_policies)s::oid[])
union
select
    w.ev_class::oid,
    w.ev_class::regclass::text
from pg_catalog.pg_rewrite as w
where w.oid = any(%(outside_rules)s::oid[])
union
select
    t.tgrelid::oid,
    t.tgrelid::regclass::text
from pg_catalog.pg_trigger as t
where t.oid = any(%(outside_triggers)s::oid[])
union
select
    f.adrelid::oid,
    f.adrelid::regclass::text
from pg_catalog.pg_attrdef as f
where f.oid = any(%(outside_defaults)s::oid[])
union
select
    k.conrelid::oid,
    k.conrelid::regclass::text
from pg_catalog.pg_constraint as k
where k.oid = any(%(outside_checks)s::oid[])
order by 2

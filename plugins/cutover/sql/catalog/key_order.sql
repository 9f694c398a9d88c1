-- The columns of a table's primary key in the order of its index, and whether PostgreSQL itself orders their type.
select
    a.attname::text as name,
    t.typnamespace = 'pg_catalog'::regnamespace as is_plain
from pg_catalog.pg_constraint as k
cross join lateral unnest(k.conkey) with ordinality as p (attnum, place)
join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = p.attnum
join pg_catalog.pg_type as t on a.atttypid = t.oid
where k.conrelid = to_regclass(%(table)s) and k.contype = 'p'
order by p.place

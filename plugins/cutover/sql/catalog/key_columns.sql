-- The columns of a table's primary key, in their order.
select a.attname::text as name
from pg_catalog.pg_constraint as k
cross join lateral unnest(k.conkey) with ordinality as p (attnum, place)
join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = p.attnum
where k.conrelid = to_regclass(%(table)s) and k.contype = 'p'
order by p.place

-- The foreign keys that lead to a table.
select
    p.referring::text as referring,
    p.name,
    p.matches,
    coalesce((
        select string_agg(format('o.%%I::text', a.attname), ' || '','' || ' order by a.attnum)
        from pg_catalog.pg_index as x
        join pg_catalog.pg_attribute as a on x.indrelid = a.attrelid and a.attnum = any(x.indkey)
        where x.indrelid = p.referring and x.indisprimary
    ), 'o.ctid::text') as referring_key
from pg_catalog.pg_constraint as k
cross join lateral cutover.key_parts(k.oid) as p
where k.contype = 'f' and k.conparentid = 0 and k.confrelid = %(relid)s
order by p.name

-- Keys, uniqueness, checks and foreign keys of a table: the definition, and the columns by name in their order.
select
    quote_ident(k.conname) as written,
    k.contype::text as kind,
    pg_get_constraintdef(k.oid) as definition,
    array(
        select a.attname::text
        from unnest(k.conkey) with ordinality as p (attnum, place)
        inner join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = p.attnum
        order by p.place
    ) as columns,
    n.nspname::text as referenced_schema,
    r.relname::text as referenced_table,
    quote_ident(n.nspname) || '.' || quote_ident(r.relname) as referenced
from pg_catalog.pg_constraint as k
left join pg_catalog.pg_class as r on k.confrelid = r.oid
left join pg_catalog.pg_namespace as n on r.relnamespace = n.oid
where k.conrelid = %(oid)s and k.contype in ('p', 'u', 'c', 'f') and k.conparentid = 0
order by array_position(array['p', 'u', 'c', 'f'], k.contype::text), k.conname

-- For each table that is replaced, three queries that show a few rows as JSON, first by primary key:
-- those that would be added, those that would be gone, and those that would change (as they are, as they would be).
select
    p.relname as object,
    k.columns as key,
    format(
        'select null::jsonb, to_jsonb(i) from %%I.%%I as i '
        'where not exists (select from %%s as o where %%s) order by %%s limit %%s',
        %(incoming_schema)s::text, p.relname, p.oid::regclass, k.matches, k.new_order, %(limit)s::integer
    ) as added,
    format(
        'select to_jsonb(o), null::jsonb from %%s as o '
        'where not exists (select from %%I.%%I as i where %%s) order by %%s limit %%s',
        p.oid::regclass, %(incoming_schema)s::text, p.relname, k.matches, k.old_order, %(limit)s::integer
    ) as removed,
    format(
        'select to_jsonb(o), to_jsonb(i) from %%s as o join %%I.%%I as i on %%s '
        'where (%%s) is distinct from (%%s) order by %%s limit %%s',
        p.oid::regclass, %(incoming_schema)s::text, p.relname, k.matches, a.old_columns, a.new_columns, k.old_order,
        %(limit)s::integer
    ) as changed
from unnest(%(replaced)s::oid[]) with ordinality as r (oid, position)
join pg_catalog.pg_class as p on p.oid = r.oid
cross join
    lateral (
        select
            array_agg(a.attname::text order by a.attnum) as columns,
            string_agg(format('o.%%1$I = i.%%1$I', a.attname), ' and ' order by a.attnum) as matches,
            string_agg(format('o.%%I', a.attname), ', ' order by a.attnum) as old_order,
            string_agg(format('i.%%I', a.attname), ', ' order by a.attnum) as new_order
        from pg_catalog.pg_constraint as c
        join pg_catalog.pg_attribute as a on a.attrelid = c.conrelid and a.attnum = any(c.conkey)
        where c.conrelid = p.oid and c.contype = 'p'
    ) as k
cross join
    lateral (
        select
            string_agg(format('o.%%I', a.attname), ', ' order by a.attnum) as old_columns,
            string_agg(format('i.%%I', a.attname), ', ' order by a.attnum) as new_columns
        from pg_catalog.pg_attribute as a
        where a.attrelid = p.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    ) as a
order by r.position

-- For each table that is replaced: a query that counts rows before, after, added, removed and changed, by primary key.
-- A changed row differs in a column that is not generated from others. (`not r.* is null`: `r.* is not null` would ask
-- that no column of the row is null.)
select
    p.relname as object,
    format(
        'select count(o.*), count(i.*), count(*) filter (where o.* is null), count(*) filter (where i.* is null), '
        'count(*) filter (where not o.* is null and not i.* is null and (%%s) is distinct from (%%s)) '
        'from (select * from %%s) as o full join (select * from %%I.%%I) as i on %%s',
        (
            select string_agg(format('o.%%I', a.attname), ', ' order by a.attnum)
            from pg_catalog.pg_attribute as a
            where a.attrelid = p.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        ),
        (
            select string_agg(format('i.%%I', a.attname), ', ' order by a.attnum)
            from pg_catalog.pg_attribute as a
            where a.attrelid = p.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        ),
        p.oid::regclass, %(incoming_schema)s::text, p.relname,
        (
            select string_agg(format('o.%%1$I = i.%%1$I', a.attname), ' and ')
            from pg_catalog.pg_constraint as k
            join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = any(k.conkey)
            where k.conrelid = p.oid and k.contype = 'p'
        )
    ) as statement
from unnest(%(replaced)s::oid[]) with ordinality as r (oid, position)
join pg_catalog.pg_class as p on p.oid = r.oid
order by r.position

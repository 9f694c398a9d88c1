-- For each table that is replaced: a query that counts rows before, after, added, removed and changed, by primary key.
-- A changed row differs, as text, in a column that is not generated from others: not every type has an equality,
-- and one that has may call equal what reads differently. What is the same to the bit reads the same, and is not
-- written as text for that. (`not r.* is null`: `r.* is not null` would ask that no column of the row is null.)
select
    p.relname as object,
    format(
        'select count(o.*), count(i.*), count(*) filter (where o.* is null), count(*) filter (where i.* is null), '
        'count(*) filter (where not o.* is null and not i.* is null and (%%s)) '
        'from (select * from %%s) as o full join (select * from %%I.%%I) as i on %%s',
        a.differs, p.oid::regclass, %(incoming_schema)s::text, p.relname,
        (
            select string_agg(format('o.%%1$I = i.%%1$I', a.attname), ' and ')
            from pg_catalog.pg_constraint as k
            join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = any(k.conkey)
            where k.conrelid = p.oid and k.contype = 'p'
        )
    ) as statement
from unnest(%(replaced)s::oid[]) with ordinality as r (oid, position)
join pg_catalog.pg_class as p on p.oid = r.oid
cross join
    lateral (
        select
            string_agg(
                format(
                    '%%2$s o.%%1$I::text collate "C" is distinct from i.%%1$I::text collate "C"',
                    a.attname,
                    case
                        when i.attname is not null
                            then format('pg_catalog.record_image_ne(row(o.%%1$I), row(i.%%1$I)) and', a.attname)
                    end
                ),
                ' or ' order by a.attnum
            ) as differs
        from pg_catalog.pg_attribute as a
        left join pg_catalog.pg_attribute as i
            on
                i.attrelid = to_regclass(format('%%I.%%I', %(incoming_schema)s::text, p.relname))
                and a.attname = i.attname
                and a.atttypid = i.atttypid
        where a.attrelid = p.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    ) as a
order by r.position

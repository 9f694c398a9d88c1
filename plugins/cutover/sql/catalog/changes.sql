-- For each table that is replaced: a query that counts rows before and after, those that are in both by the primary
-- key, and those of them that are changed.
-- A changed row differs, as text, in a column that is not generated from others: not every type has an equality,
-- and one that has may call equal what reads differently. What is the same to the bit reads the same, and is not
-- written as text for that.
select
    p.relname as object,
    format(
        'select (select count(*) from %%2$s), (select count(*) from %%3$I.%%4$I), count(*), '
        'count(*) filter (where %%1$s) '
        'from %%2$s as o join %%3$I.%%4$I as i on %%5$s',
        a.differs, p.oid::regclass, %(incoming_schema)s::text, p.relname,
        cutover.key_condition(
            p.oid, to_regclass(format('%%I.%%I', %(incoming_schema)s::text, p.relname)), 'o.%%I', 'i.%%I'
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

-- For each table that is replaced, three queries that pick a few rows, first by primary key, as the places in which
-- they lie before and after, and the columns in which they differ: those that would be added, those that would be gone,
-- and those that would change. What the rows hold is read of these alone. Beside them what they are made of: how a row
-- is matched with its other side, whether it differs, and the columns in which it does.
select
    p.relname as object,
    p.oid::regclass::text as live,
    k.columns as key,
    k.matches,
    a.differs,
    a.differing,
    format(
        'select null::tid as before, i.ctid as after, null::text[] as differing from %%I.%%I as i '
        'where not exists (select from %%s as o where %%s) order by %%s limit %%s',
        %(incoming_schema)s::text, p.relname, p.oid::regclass, k.matches, k.new_order, %(limit)s::integer
    ) as added,
    format(
        'select o.ctid as before, null::tid as after, null::text[] as differing from %%s as o '
        'where not exists (select from %%I.%%I as i where %%s) order by %%s limit %%s',
        p.oid::regclass, %(incoming_schema)s::text, p.relname, k.matches, k.old_order, %(limit)s::integer
    ) as removed,
    format(
        'select o.ctid as before, i.ctid as after, array_remove(array[%%s]::text[], null) as differing '
        'from %%s as o join %%I.%%I as i on %%s where %%s order by %%s limit %%s',
        a.differing, p.oid::regclass, %(incoming_schema)s::text, p.relname, k.matches, a.differs, k.old_order,
        %(limit)s::integer
    ) as changed
from unnest(%(replaced)s::oid[]) with ordinality as r (oid, position)
join pg_catalog.pg_class as p on p.oid = r.oid
cross join
    lateral (
        select
            array_agg(a.attname::text order by a.attnum) as columns,
            cutover.key_condition(
                p.oid, to_regclass(format('%%I.%%I', %(incoming_schema)s::text, p.relname)), 'o.%%I', 'i.%%I'
            ) as matches,
            string_agg(format('o.%%I', a.attname), ', ' order by a.attnum) as old_order,
            string_agg(format('i.%%I', a.attname), ', ' order by a.attnum) as new_order
        from pg_catalog.pg_constraint as c
        join pg_catalog.pg_attribute as a on a.attrelid = c.conrelid and a.attnum = any(c.conkey)
        where c.conrelid = p.oid and c.contype = 'p'
    ) as k
cross join
    lateral (
        select
            string_agg(c.differs, ' or ' order by a.attnum) as differs,
            string_agg(format('case when %%s then %%L end', c.differs, a.attname), ', ' order by a.attnum) as differing
        from pg_catalog.pg_attribute as a
        left join pg_catalog.pg_attribute as i
            on
                i.attrelid = to_regclass(format('%%I.%%I', %(incoming_schema)s::text, p.relname))
                and a.attname = i.attname
                and a.atttypid = i.atttypid
        cross join
            lateral (
                -- as in changes.sql
                select
                    format(
                        '%%2$s o.%%1$I::text collate "C" is distinct from i.%%1$I::text collate "C"',
                        a.attname,
                        case
                            when i.attname is not null
                                then format('pg_catalog.record_image_ne(row(o.%%1$I), row(i.%%1$I)) and', a.attname)
                        end
                    ) as differs
            ) as c
        where a.attrelid = p.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
    ) as a
order by r.position

-- What was done to a table's columns since it was put in place, and the statement that does the same to the table that
-- comes back; null where that is done. (placed, kept: the columns of both by number, as they were then.) Each is one
-- that writes no row anew: a change of production that does is told elsewhere, and rows of a backup have to stay as
-- they are.
with placed as (
    select
        e.key::smallint as attnum,
        e.value as name,
        row_number() over (order by e.key::smallint) as position
    from jsonb_each_text(%(placed)s::jsonb) as e
),

kept as (
    select
        e.key::smallint as attnum,
        row_number() over (order by e.key::smallint) as position
    from jsonb_each_text(%(kept)s::jsonb) as e
),

shape as (
    select
        a.*,
        y.typtype = 'd' as is_domain,
        format_type(a.atttypid, a.atttypmod)
        || case when a.attcollation <> y.typcollation then ' collate ' || a.attcollation::regcollation::text else '' end
            as shape
    from pg_catalog.pg_attribute as a
    join pg_catalog.pg_type as y on a.atttypid = y.oid
    where a.attrelid in (%(production)s::oid, %(incoming)s::oid) and a.attnum > 0 and not a.attisdropped
),

live as (
    select s.*
    from shape as s
    where s.attrelid = %(production)s::oid
),

old as (
    select s.*
    from shape as s
    where s.attrelid = %(incoming)s::oid
),

-- a live column with the one that comes back for it. Both tables had the same columns in the same order when one took
-- the other's place; what was added since comes behind them, and goes by its name.
pair as (
    select
        l.attnum,
        l.attname,
        l.shape,
        l.is_domain,
        l.attnotnull,
        -- a constraint with a name since PostgreSQL 18
        (
            select k.conname
            from pg_catalog.pg_constraint as k
            where k.conrelid = l.attrelid and k.contype = 'n' and k.conkey = array[l.attnum]
        ) as not_null_name,
        p.name as was,
        -- what rows from before it was added read in it
        (l.attmissingval::text::text[])[1] as missing,
        l.atthasmissing,
        o.attname as old_name,
        o.shape as old_shape,
        coalesce(o.attnotnull, false) as old_notnull,
        exists(select from old as t where t.attname = l.attname) as is_taken
    from live as l
    left join placed as p on l.attnum = p.attnum
    left join kept as k on p.position = k.position
    left join old as o
        on k.attnum = o.attnum
            or (k.attnum is null and l.attname = o.attname and o.attnum not in (select f.attnum from kept as f))
    where l.attgenerated = ''
),

-- columns that production has no more, but for those of the key: what is of the rows that come back is kept whole
gone as (
    select
        p.name,
        o.attname,
        format('%%I.%%I', n.nspname, %(whole)s || c.relname) as copy
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
    cross join placed as p
    join kept as k on p.position = k.position
    left join old as o on k.attnum = o.attnum
    where
        c.oid = %(incoming)s::oid
        and p.attnum not in (select l.attnum from live as l)
        -- a name that fits
        and octet_length(%(whole)s || c.relname) <= 63
        and not exists (
            select from pg_catalog.pg_index as x
            where x.indrelid = c.oid and x.indisprimary and o.attnum = any(x.indkey)
        )
),

-- what had followed a column that was added, and has been dropped again
forgotten as (
    select o.attname
    from old as o
    where
        o.attnum not in (select k.attnum from kept as k)
        and o.attname not in (select l.attname from live as l)
)

select
    0 as place,
    0 as attnum,
    %(production)s::oid::regclass::text || '.' || quote_ident(g.name) as object,
    format('dropped since; what rows of before have in it is kept in %%s', g.copy) as change,
    case
        when g.attname is not null
            then format(
                    'create table if not exists %%1$s as table %%2$s; alter table %%2$s drop column %%3$I', g.copy,
                    %(incoming)s::oid::regclass, g.attname
                )
    end as ddl
from gone as g
union all
select
    0 as place,
    0 as attnum,
    %(production)s::oid::regclass::text || '.' || quote_ident(f.attname) as object,
    null as change,
    format('alter table %%s drop column %%I', %(incoming)s::oid::regclass, f.attname) as ddl
from forgotten as f
union all
select
    c.place,
    p.attnum,
    %(production)s::oid::regclass::text || '.' || quote_ident(p.attname) as object,
    c.change,
    c.ddl
from pair as p
cross join
    lateral (
        -- columns that exchange their names are out of each other's way first
        select
            1 as place,
            null as change,
            format(
                'alter table %%s rename column %%I to %%I', %(incoming)s::oid::regclass, p.old_name,
                'cutover_' || p.attnum
            ) as ddl
        where
            p.was is not null and p.old_name <> p.attname and p.is_taken
            -- a kill may have come behind it
            and p.old_name <> 'cutover_' || p.attnum
        union all
        select
            2 as place,
            case when p.was <> p.attname then format('called %%s when it was put in place', quote_ident(p.was)) end
                as change,
            case
                when p.old_name <> p.attname
                    then format(
                            'alter table %%s rename column %%I to %%I', %(incoming)s::oid::regclass,
                            case when p.is_taken then 'cutover_' || p.attnum else p.old_name end, p.attname
                        )
            end as ddl
        where p.was is not null and (p.was <> p.attname or p.old_name <> p.attname)
        union all
        select
            3 as place,
            format(
                'added since (%%s)%%s', p.shape,
                case when p.atthasmissing then format(', %%L in the rows of before', p.missing) else '' end
            ) as change,
            case
                -- a domain's check would be the application's code, run by the engine
                when p.old_name is null and not p.is_domain
                    then format(
                            'alter table %%s add column %%I %%s%%s', %(incoming)s::oid::regclass, p.attname, p.shape,
                            case when p.atthasmissing then format(' default %%L', p.missing) else '' end
                        )
            end as ddl
        where p.was is null
        union all
        -- what it defaults to from now on is production's of today
        select
            4 as place,
            null as change,
            format('alter table %%s alter column %%I drop default', %(incoming)s::oid::regclass, p.attname) as ddl
        where p.was is null and p.old_name is null and not p.is_domain and p.atthasmissing
        union all
        select
            5 as place,
            format('%%s by now, and %%s in the rows that come back', p.shape, p.old_shape) as change,
            format('alter table %%s alter column %%I type %%s', %(incoming)s::oid::regclass, p.attname, p.shape) as ddl
        where p.shape <> p.old_shape and not p.is_domain
        union all
        select
            6 as place,
            case
                when
                    p.was is not null
                    then case when p.attnotnull then 'never null by now' else 'may be null by now' end
            end
                as change,
            case
                when p.attnotnull and p.not_null_name is not null
                    then format(
                            'alter table %%s add constraint %%I not null %%I', %(incoming)s::oid::regclass,
                            p.not_null_name, p.attname
                        )
                else format(
                        'alter table %%s alter column %%I %%s not null', %(incoming)s::oid::regclass, p.attname,
                        case when p.attnotnull then 'set' else 'drop' end
                    )
            end as ddl
        where p.attnotnull <> p.old_notnull and not (p.old_name is null and p.is_domain)
    ) as c
order by place, attnum, object

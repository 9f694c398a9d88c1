-- For every valid foreign key between the set and live tables: a query that counts, samples and lists rows whose key
-- the other side does not hold. Of outside tables, they would lose what they refer to by the move (`outside`);
-- of the incoming tables, they refer to what is not there (`incoming`).
--
-- Each has a condition open at its end, so that it can be narrowed to some keys (k.key) or rows (o.xmin). `settled` is
-- one that leaves out what carrying may mend yet: outside rows whose parent was written by transaction `bound` or
-- later, and incoming rows that are written to in the live table.
with foreign_key as (
    select
        k.*,
        'outside' as side,
        null::oid as live,
        k.conrelid::regclass::text as referencing,
        format('%%I.%%I', %(incoming_schema)s::text, t.relname) as referenced
    from pg_catalog.pg_constraint as k
    join pg_catalog.pg_class as t on t.oid = k.confrelid
    where k.oid = any(%(outside_keys)s::oid[]) and k.convalidated
    union all
    select
        k.*,
        'incoming',
        (select o.oid from pg_catalog.pg_class as o where o.oid = any(%(outgoing)s::oid[]) and o.relname = t.relname),
        format('%%I.%%I', %(incoming_schema)s::text, t.relname),
        k.confrelid::regclass::text
    from pg_catalog.pg_constraint as k
    join pg_catalog.pg_class as t on t.oid = k.conrelid
    where k.conrelid = any(%(replaced)s::oid[]) and k.contype = 'f' and k.convalidated
        and k.confrelid <> all(%(outgoing)s::oid[]) and k.confrelid <> all(%(unmerged)s::oid[])
),

-- PostgreSQL's own operators of the key, with its own casts: `=` by name may mean another one
compared as (
    select
        k.oid,
        n.position,
        a.attname as referencing_column,
        f.attname as referenced_column,
        coalesce(to_jsonb(k) ->> 'conperiod' = 'true' and n.position = cardinality(k.conkey), false) as is_period,
        format(
            'i.%%I%%s operator(%%I.%%s) o.%%I%%s',
            f.attname,
            case when l.typtype <> 'p' and l.oid <> f.atttypid then '::' || format_type(l.oid, null) end,
            s.nspname,
            p.oprname,
            a.attname,
            case when r.typtype <> 'p' and r.oid <> a.atttypid then '::' || format_type(r.oid, null) end
        ) as condition
    from foreign_key as k
    cross join
        lateral unnest(k.conkey, k.confkey, k.conpfeqop)
        with ordinality as n (referencing, referenced, operator, position)
    join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = n.referencing
    join pg_catalog.pg_attribute as f on f.attrelid = k.confrelid and f.attnum = n.referenced
    join pg_catalog.pg_operator as p on p.oid = n.operator
    join pg_catalog.pg_namespace as s on s.oid = p.oprnamespace
    join pg_catalog.pg_type as l on l.oid = p.oprleft
    join pg_catalog.pg_type as r on r.oid = p.oprright
),

condition as (
    select
        c.oid,
        string_agg(format('o.%%I', c.referencing_column), ', ' order by c.position) as key,
        string_agg(format('o.%%I is not null', c.referencing_column), ' and ' order by c.position) as complete,
        string_agg(c.condition, ' and ' order by c.position) filter (where not c.is_period) as matches,
        max(c.referencing_column) filter (where c.is_period) as period,
        max(c.referenced_column) filter (where c.is_period) as referenced_period
    from compared as c
    group by c.oid
)

select
    k.side,
    k.conrelid::regclass::text || ':' || quote_ident(k.conname) as object,
    format(
        'select %%L::text as side, %%L::text as object, count(*) as rows, min(%%s) as sample, '
        '(array_agg(distinct k.key))[:%%s] as keys '
        'from %%s as o cross join lateral (select row(%%s)::text as key) as k where %%s and %%s',
        k.side,
        k.conrelid::regclass::text || ':' || quote_ident(k.conname),
        -- an error never shows a row: its key alone
        coalesce(
            (
                select string_agg(format('o.%%I::text', a.attname), ' || '','' || ' order by a.attnum)
                from pg_catalog.pg_index as x
                join pg_catalog.pg_attribute as a on a.attrelid = x.indrelid and a.attnum = any(x.indkey)
                where x.indrelid = k.conrelid and x.indisprimary
            ),
            'o.ctid::text'
        ),
        %(most)s::integer,
        k.referencing,
        c.key,
        c.complete,
        case
            when c.period is null
                then format('not exists (select from %%s as i where %%s)', k.referenced, c.matches)
            -- a temporal key is held when the rows of its key cover the period together
            else format(
                    'not coalesce(o.%%I <@ (select range_agg(i.%%I) from %%s as i where %%s), false)',
                    c.period,
                    c.referenced_period,
                    k.referenced,
                    c.matches
                )
        end
    ) as statement,
    case
        when %(bound)s::text is null then ''
        when c.period is not null then ' and false'
        when k.side = 'outside'
            then format(
                    ' and not exists (select from %%s as i where %%s and age(i.xmin) <= age(%%L::xid))',
                    k.confrelid::regclass,
                    c.matches,
                    %(bound)s::text
                )
        when k.live is not null
            then coalesce(
                    (
                        select
                            format(
                                ' and not exists (select from %%s as l where row(%%s)::text = row(%%s)::text)',
                                k.live::regclass,
                                string_agg(format('l.%%I', a.attname), ', ' order by a.attnum),
                                string_agg(format('o.%%I', a.attname), ', ' order by a.attnum)
                            )
                        from pg_catalog.pg_index as x
                        join pg_catalog.pg_attribute as a on a.attrelid = x.indrelid and a.attnum = any(x.indkey)
                        where x.indrelid = k.live and x.indisprimary
                    ),
                    ' and false'
                )
        else ''
    end as settled
from foreign_key as k
join condition as c on c.oid = k.oid
order by 1 desc, 2

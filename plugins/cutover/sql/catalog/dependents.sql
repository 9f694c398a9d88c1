-- Everything that is bound to the given tables by identity, not by name, and so would follow the old table
-- into the backup: kind, oid, name, and how it is bound.
--
-- Views and materialized views are found through other views, too: `depth` 1 is bound directly. What the engine keeps
-- in schemas of its own is no dependent: it comes and goes with them.
with recursive own_schema as (
    select n.oid
    from pg_catalog.pg_namespace as n
    where n.nspname in ('staging', 'input', 'cutover', %(incoming_schema)s::text, %(backup_schema)s::text)
        or n.nspname like 'backup\_%%'
        -- of another session: it has a refusal of its own
        or n.nspname like 'pg\_temp\_%%'
),

target as (
    select
        t.oid,
        t.reltype,
        y.typarray
    from pg_catalog.pg_class as t
    join pg_catalog.pg_type as y on y.oid = t.reltype
    where t.oid = any(%(tables)s::oid[])
),

-- functions whose arguments, result or parsed body (BEGIN ATOMIC) name a table or its row type
bound_function as (
    select
        p.oid,
        case
            when
                exists (select from target as t where t.reltype = any(p.proargtypes) or t.typarray = any(p.proargtypes))
                then 'argument'
            when
                exists (
                    select from target as t
                    where p.prorettype in (t.reltype, t.typarray)
                        or t.reltype = any(p.proallargtypes) or t.typarray = any(p.proallargtypes)
                ) then 'result'
            else 'body'
        end as binding
    from pg_catalog.pg_proc as p
    where p.prokind in ('f', 'p') and p.oid in (
            select d.objid
            from pg_catalog.pg_depend as d
            join target as t
                on (d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = t.oid)
                    or (d.refclassid = 'pg_catalog.pg_type'::regclass and d.refobjid in (t.reltype, t.typarray))
            where d.classid = 'pg_catalog.pg_proc'::regclass
        )
),

direct_view as (
    select distinct
        w.ev_class as oid,
        c.relkind
    from pg_catalog.pg_depend as d
    join pg_catalog.pg_rewrite as w on w.oid = d.objid and w.rulename = '_RETURN'
    join pg_catalog.pg_class as c on c.oid = w.ev_class
    where d.classid = 'pg_catalog.pg_rewrite'::regclass
        and c.relnamespace not in (select o.oid from own_schema as o)
        and (
            (d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid in (select t.oid from target as t))
            or (
                d.refclassid = 'pg_catalog.pg_proc'::regclass
                and d.refobjid in (select f.oid from bound_function as f where f.binding <> 'body')
            )
            or (
                d.refclassid = 'pg_catalog.pg_type'::regclass
                and d.refobjid in (select unnest(array[t.reltype, t.typarray]) from target as t)
            )
        )
),

bound_view as (
    select
        v.oid,
        v.relkind,
        1 as depth,
        -- a materialized view is rebuilt as a new relation when it is bound directly, so what reads it is bound, too
        (v.relkind = 'm') as moves,
        true as rebind
    from direct_view as v
    union
    select
        w.ev_class,
        c.relkind,
        v.depth + 1,
        (c.relkind = 'm' and v.moves),
        v.moves
    from bound_view as v
    join pg_catalog.pg_depend as d
        on d.refobjid = v.oid and d.refclassid = 'pg_catalog.pg_class'::regclass
            and d.classid = 'pg_catalog.pg_rewrite'::regclass
    join pg_catalog.pg_rewrite as w on w.oid = d.objid and w.rulename = '_RETURN' and w.ev_class <> v.oid
    join pg_catalog.pg_class as c on c.oid = w.ev_class
    where v.depth < 64 and c.relnamespace not in (select o.oid from own_schema as o)
)

select
    'function' as kind,
    f.oid,
    f.oid::regprocedure::text as name,
    f.binding,
    1 as depth
from bound_function as f
union all
select
    case v.relkind when 'm' then 'materialized view' else 'view' end,
    v.oid,
    v.oid::regclass::text,
    case when bool_or(v.rebind) then 'direct' else 'through a view' end,
    max(v.depth)
from bound_view as v
group by v.oid, v.relkind
union all
select
    'outside foreign key',
    k.oid,
    k.conrelid::regclass::text || ':' || quote_ident(k.conname),
    -- a partitioned table's key is given to its partitions first where it cannot be added unvalidated, or where a
    -- partition's own part has a name of its own
    case
        when c.relkind = 'p' and k.convalidated and (
                current_setting('server_version_num')::integer < 180000
                or exists (
                    select from pg_catalog.pg_constraint as l where l.conparentid = k.oid and l.conname <> k.conname
                )
            ) then 'partition by partition'
        else 'table'
    end,
    1
from pg_catalog.pg_constraint as k
join pg_catalog.pg_class as c on c.oid = k.conrelid
where k.contype = 'f' and k.conparentid = 0
    and k.confrelid in (select t.oid from target as t) and k.conrelid not in (select t.oid from target as t)
    and c.relnamespace not in (select o.oid from own_schema as o)
union all
select
    'outside policy',
    p.oid,
    p.polrelid::regclass::text || ':' || quote_ident(p.polname),
    'expression',
    1
from pg_catalog.pg_policy as p
join pg_catalog.pg_class as c on c.oid = p.polrelid
where c.relnamespace not in (select o.oid from own_schema as o)
    and p.polrelid not in (select t.oid from target as t) and p.oid in (
        select d.objid
        from pg_catalog.pg_depend as d
        join target as t on t.oid = d.refobjid
        where d.classid = 'pg_catalog.pg_policy'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
    )
union all
select
    'outside rule',
    w.oid,
    w.ev_class::regclass::text || ':' || quote_ident(w.rulename),
    'action',
    1
from pg_catalog.pg_rewrite as w
join pg_catalog.pg_class as c on c.oid = w.ev_class
where c.relnamespace not in (select o.oid from own_schema as o)
    and w.rulename <> '_RETURN' and w.ev_class not in (select t.oid from target as t) and w.oid in (
        select d.objid
        from pg_catalog.pg_depend as d
        join target as t on t.oid = d.refobjid
        where d.classid = 'pg_catalog.pg_rewrite'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
    )
union all
select
    'outside trigger',
    t.oid,
    t.tgrelid::regclass::text || ':' || quote_ident(t.tgname),
    'definition',
    1
from pg_catalog.pg_trigger as t
join pg_catalog.pg_class as c on c.oid = t.tgrelid
where not t.tgisinternal and t.tgparentid = 0 and c.relnamespace not in (select o.oid from own_schema as o)
    and t.tgrelid not in (select t.oid from target as t) and t.oid in (
        select d.objid
        from pg_catalog.pg_depend as d
        join target as t on t.oid = d.refobjid
        where d.classid = 'pg_catalog.pg_trigger'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
    )
union all
-- a default or check that names a table of the set as a constant ('public.orders'::regclass)
select
    'outside default',
    f.oid,
    f.adrelid::regclass::text || '.' || quote_ident(a.attname),
    'expression',
    1
from pg_catalog.pg_attrdef as f
join pg_catalog.pg_class as c on c.oid = f.adrelid
join pg_catalog.pg_attribute as a on a.attrelid = f.adrelid and a.attnum = f.adnum and a.attgenerated = ''
where c.relnamespace not in (select o.oid from own_schema as o)
    and f.adrelid not in (select t.oid from target as t) and f.oid in (
        select d.objid
        from pg_catalog.pg_depend as d
        join target as t on t.oid = d.refobjid
        where d.classid = 'pg_catalog.pg_attrdef'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
    )
union all
select
    'outside check',
    k.oid,
    k.conrelid::regclass::text || ':' || quote_ident(k.conname),
    'expression',
    1
from pg_catalog.pg_constraint as k
join pg_catalog.pg_class as c on c.oid = k.conrelid
where k.contype = 'c' and k.coninhcount = 0 and c.relnamespace not in (select o.oid from own_schema as o)
    and k.conrelid not in (select t.oid from target as t) and k.oid in (
        select d.objid
        from pg_catalog.pg_depend as d
        join target as t on t.oid = d.refobjid
        where d.classid = 'pg_catalog.pg_constraint'::regclass and d.refclassid = 'pg_catalog.pg_class'::regclass
    )
order by 1, 5, 3

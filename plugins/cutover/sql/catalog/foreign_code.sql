-- Code that a role other than a superuser or the engine's own can change, and that PostgreSQL evaluates while a row is
-- written to these tables or an expression of theirs is built: functions in check constraints, generated columns,
-- defaults, index expressions and predicates, triggers, rules, and in the domains of their columns. What pg_catalog has
-- is not recorded.
with recursive given as (
    select t.oid
    from unnest(%(tables)s::oid[]) as t (oid)
),

-- the types of the columns, and what those are made of
type_used as (
    select
        a.attrelid as relation,
        a.attname,
        a.atttypid as type
    from pg_catalog.pg_attribute as a
    where a.attrelid in (select g.oid from given as g) and a.attnum > 0 and not a.attisdropped
    union
    select
        u.relation,
        u.attname,
        inner_type.oid
    from type_used as u
    join pg_catalog.pg_type as y on y.oid = u.type
    cross join
        lateral (
            select y.typelem as oid
            union all
            select y.typbasetype
            union all
            select r.rngsubtype
            from pg_catalog.pg_range as r
            where r.rngtypid = y.oid
            union all
            select a.atttypid
            from pg_catalog.pg_attribute as a
            where y.typrelid <> 0 and a.attrelid = y.typrelid and a.attnum > 0 and not a.attisdropped
        ) as inner_type
    where inner_type.oid <> 0
),

expression as (
    select
        k.conrelid as relation,
        -- an exclusion constraint is built and looked at as an index is
        case k.contype when 'c' then 'check' else 'index' end as kind,
        k.conname::text as name,
        'pg_catalog.pg_constraint'::regclass as classid,
        k.oid as objid,
        null::text as tree
    from pg_catalog.pg_constraint as k
    where k.conrelid in (select g.oid from given as g) and k.contype in ('c', 'x')
    union all
    select
        d.adrelid,
        case when a.attgenerated = '' then 'default' else 'generated' end,
        a.attname::text,
        'pg_catalog.pg_attrdef'::regclass,
        d.oid,
        null
    from pg_catalog.pg_attrdef as d
    join pg_catalog.pg_attribute as a on a.attrelid = d.adrelid and a.attnum = d.adnum
    where d.adrelid in (select g.oid from given as g)
    union all
    select
        x.indrelid,
        'index',
        c.relname::text,
        'pg_catalog.pg_class'::regclass,
        x.indexrelid,
        concat(x.indexprs::text, x.indpred::text)
    from pg_catalog.pg_index as x
    join pg_catalog.pg_class as c on c.oid = x.indexrelid
    where x.indrelid in (select g.oid from given as g)
    union all
    select
        s.stxrelid,
        'statistics',
        s.stxname::text,
        'pg_catalog.pg_statistic_ext'::regclass,
        s.oid,
        s.stxexprs::text
    from pg_catalog.pg_statistic_ext as s
    where s.stxrelid in (select g.oid from given as g)
    union all
    select
        u.relation,
        'domain',
        u.attname::text,
        'pg_catalog.pg_constraint'::regclass,
        k.oid,
        null
    from type_used as u
    join pg_catalog.pg_constraint as k on k.contypid = u.type
    union all
    -- with what its condition calls
    select
        t.tgrelid,
        'trigger',
        t.tgname::text,
        'pg_catalog.pg_trigger'::regclass,
        t.oid,
        null
    from pg_catalog.pg_trigger as t
    where t.tgrelid in (select g.oid from given as g) and not t.tgisinternal and t.tgenabled <> 'D'
    union all
    select
        w.ev_class,
        'rule',
        w.rulename::text,
        'pg_catalog.pg_rewrite'::regclass,
        w.oid,
        null
    from pg_catalog.pg_rewrite as w
    where w.ev_class in (select g.oid from given as g) and w.ev_type <> '1' and w.ev_enabled <> 'D'
),

called as (
    select
        e.relation,
        e.kind,
        e.name,
        coalesce(o.oprcode::oid, d.refobjid) as function,
        e.tree
    from expression as e
    join pg_catalog.pg_depend as d on d.classid = e.classid and d.objid = e.objid
    left join pg_catalog.pg_operator as o
        on d.refclassid = 'pg_catalog.pg_operator'::regclass and o.oid = d.refobjid
    where d.refclassid in ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)
    union
    select
        u.relation,
        'range',
        u.attname::text,
        r.rngsubdiff::oid,
        null
    from type_used as u
    join pg_catalog.pg_range as r on r.rngtypid = u.type
    where r.rngsubdiff <> 0
)

select distinct
    c.relation,
    c.relation::regclass::text as table_name,
    c.kind,
    quote_ident(c.name) as name,
    p.oid as function_oid,
    c.tree,
    p.oid::regprocedure::text as function,
    pg_get_userbyid(p.proowner) as function_owner,
    -- it runs as its owner, and cannot become anybody else
    p.prosecdef as is_definer,
    -- which version of the function it is
    concat_ws(' ', p.xmin, p.ctid) as version,
    pg_get_userbyid(t.relowner) as table_owner,
    pg_has_role(current_user, t.relowner, 'USAGE') as is_ours
from called as c
join pg_catalog.pg_class as t on t.oid = c.relation
join pg_catalog.pg_proc as p on p.oid = c.function
join pg_catalog.pg_language as l on l.oid = p.prolang
join pg_catalog.pg_roles as r on r.oid = p.proowner
where p.pronamespace <> 'pg_catalog'::regnamespace
    -- only a superuser makes a function in these
    and l.lanname not in ('internal', 'c')
    and not r.rolsuper
    and r.rolname <> current_user
order by relation, kind, name, function

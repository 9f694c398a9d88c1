-- The default is to refuse: whatever PostgreSQL says depends on a swapped table, and is of no kind handled here.
with target as (
    select
        t.oid,
        t.reltype,
        y.typarray
    from pg_catalog.pg_class as t
    join pg_catalog.pg_type as y on y.oid = t.reltype
    where t.oid = any(%(tables)s::oid[] || %(rebuilt)s::oid[])
),

dependent as (
    select
        d.*,
        t.oid as target
    from target as t
    join pg_catalog.pg_depend as d
        on (d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = t.oid)
            or (d.refclassid = 'pg_catalog.pg_type'::regclass and d.refobjid in (t.reltype, t.typarray))
)

select distinct
    pg_describe_object(d.classid, d.objid, d.objsubid) as object,
    format('it depends on %%s in a way that the swap does not know', d.target::regclass) as why,
    'drop it for the time of the swap and make it again afterwards.' as remedy
from dependent as d
left join pg_catalog.pg_class as c on d.classid = 'pg_catalog.pg_class'::regclass and c.oid = d.objid
left join pg_catalog.pg_proc as p on d.classid = 'pg_catalog.pg_proc'::regclass and p.oid = d.objid
left join pg_catalog.pg_attrdef as f on d.classid = 'pg_catalog.pg_attrdef'::regclass and f.oid = d.objid
-- a comparison with an absent row is null, which must count as unknown
where not coalesce(
        -- rows of these classes are found and handled one by one, or have a refusal of their own
        d.classid in (
            'pg_catalog.pg_constraint'::regclass, 'pg_catalog.pg_rewrite'::regclass, 'pg_catalog.pg_policy'::regclass,
            'pg_catalog.pg_trigger'::regclass,
            'pg_catalog.pg_statistic_ext'::regclass,
            'pg_catalog.pg_publication_rel'::regclass
        )
        or f.oid is not null
        -- indexes, toast tables and own sequences travel with the table; row-type columns have their own refusal
        or (c.oid is not null and (c.relkind in ('i', 't', 'S') or d.refclassid = 'pg_catalog.pg_type'::regclass))
        or p.prokind in ('f', 'p')
        -- the row type and its array type
        or (d.classid = 'pg_catalog.pg_type'::regclass and d.deptype in ('i', 'a'))
        -- domains have their own refusal
        or (
            d.classid = 'pg_catalog.pg_type'::regclass
            and d.objid in (select y.oid from pg_catalog.pg_type as y where y.typtype = 'd')
        )
        or d.deptype = 'e',
        false
    )

-- Objects outside the backup schema that still refer to a relation, or a row type, in it. Must return no row.
with old as (
    select
        c.oid,
        c.reltype,
        y.typarray,
        c.relname
    from pg_catalog.pg_class as c
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
    left join pg_catalog.pg_type as y on y.oid = c.reltype
    where n.nspname = %(backup_schema)s::text and c.relkind in ('r', 'm')
),

reference as (
    select
        d.classid,
        d.objid,
        d.objsubid,
        o.relname,
        coalesce(k.conrelid, w.ev_class, p.polrelid, t.tgrelid, a.adrelid, s.stxrelid, c.oid) as relation
    from old as o
    join pg_catalog.pg_depend as d
        on (d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = o.oid)
            or (d.refclassid = 'pg_catalog.pg_type'::regclass and d.refobjid in (o.reltype, o.typarray))
    left join pg_catalog.pg_constraint as k on d.classid = 'pg_catalog.pg_constraint'::regclass and k.oid = d.objid
    left join pg_catalog.pg_rewrite as w on d.classid = 'pg_catalog.pg_rewrite'::regclass and w.oid = d.objid
    left join pg_catalog.pg_policy as p on d.classid = 'pg_catalog.pg_policy'::regclass and p.oid = d.objid
    left join pg_catalog.pg_trigger as t on d.classid = 'pg_catalog.pg_trigger'::regclass and t.oid = d.objid
    left join pg_catalog.pg_attrdef as a on d.classid = 'pg_catalog.pg_attrdef'::regclass and a.oid = d.objid
    left join
        pg_catalog.pg_statistic_ext as s
        on d.classid = 'pg_catalog.pg_statistic_ext'::regclass and s.oid = d.objid
    left join pg_catalog.pg_class as c on d.classid = 'pg_catalog.pg_class'::regclass and c.oid = d.objid
)

select distinct
    pg_describe_object(r.classid, r.objid, r.objsubid) as object,
    r.relname as refers_to
from reference as r
left join pg_catalog.pg_class as c on c.oid = r.relation
left join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
where n.nspname is distinct from %(backup_schema)s::text
    -- the row types of the old tables themselves, and toast tables
    and not (r.classid = 'pg_catalog.pg_type'::regclass and r.objid in (
        select unnest(array[o.reltype, o.typarray]) from old as o
    ))
    and coalesce(n.nspname, '') <> 'pg_toast'
order by 1

-- An expression that names a table of the set as a constant ('public.orders'::regclass) and cannot be re-bound in
-- place: making it anew would rewrite a table or an index while clients wait.
select distinct
    pg_describe_object(d.classid, d.objid, d.objsubid) as object,
    format('an expression in it names %%s as a constant, which would be the old table', d.refobjid::regclass) as why,
    'compare with the name instead (c.oid::regclass::text = ''schema.table''), or drop it for the time of the swap.'
        as remedy
from pg_catalog.pg_depend as d
left join pg_catalog.pg_index as x on d.classid = 'pg_catalog.pg_class'::regclass and x.indexrelid = d.objid
left join pg_catalog.pg_constraint as k on d.classid = 'pg_catalog.pg_constraint'::regclass and k.oid = d.objid
left join pg_catalog.pg_attrdef as f on d.classid = 'pg_catalog.pg_attrdef'::regclass and f.oid = d.objid
left join
    pg_catalog.pg_attribute as a
    on a.attrelid = f.adrelid and a.attnum = f.adnum
left join pg_catalog.pg_statistic_ext as s on d.classid = 'pg_catalog.pg_statistic_ext'::regclass and s.oid = d.objid
where d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = any(%(tables)s::oid[] || %(rebuilt)s::oid[])
    and d.refobjsubid = 0
    and (
        x.indrelid <> all(%(tables)s::oid[] || %(rebuilt)s::oid[])
        -- of a domain, or inherited by partitions
        or (k.contype = 'c' and (k.conrelid = 0 or k.coninhcount > 0))
        or (a.attgenerated <> '')
        or s.stxrelid <> all(%(tables)s::oid[] || %(rebuilt)s::oid[])
    )

-- A function with the row type in its signature is dropped and made again. Views that use it are rebuilt;
-- anything else would block the drop or keep the old function.
select
    p.oid::regprocedure::text as object,
    format(
        'it has a swapped row type in its signature, and %%s uses it',
        pg_describe_object(d.classid, d.objid, d.objsubid)
    ) as why,
    'drop that use for the time of the swap, or pass the columns instead of the row.' as remedy
from pg_catalog.pg_class as t
join pg_catalog.pg_type as y on y.oid = t.reltype
join pg_catalog.pg_proc as p
    on t.reltype = any(p.proargtypes) or y.typarray = any(p.proargtypes) or p.prorettype in (y.oid, y.typarray)
        or t.reltype = any(p.proallargtypes) or y.typarray = any(p.proallargtypes)
join pg_catalog.pg_depend as d on d.refclassid = 'pg_catalog.pg_proc'::regclass and d.refobjid = p.oid
left join pg_catalog.pg_rewrite as w
    on d.classid = 'pg_catalog.pg_rewrite'::regclass and w.oid = d.objid and w.rulename = '_RETURN'
where t.oid = any(%(tables)s::oid[] || %(rebuilt)s::oid[]) and w.oid is null and d.deptype <> 'i'
    -- another bound function is rebuilt together with this one
    and not (d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = any(%(functions)s::oid[]))

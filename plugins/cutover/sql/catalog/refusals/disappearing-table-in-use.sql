-- A table that the swap takes away (it has no successor) must not be in use by anything that stays.
select distinct
    pg_describe_object(d.classid, d.objid, d.objsubid) as object,
    format('it uses %%s, which goes to the backup without a successor', d.refobjid::regclass) as why,
    'drop it first, or keep the table in the set with a successor.' as remedy
from pg_catalog.pg_depend as d
left join pg_catalog.pg_constraint as k on d.classid = 'pg_catalog.pg_constraint'::regclass and k.oid = d.objid
left join pg_catalog.pg_rewrite as w on d.classid = 'pg_catalog.pg_rewrite'::regclass and w.oid = d.objid
left join pg_catalog.pg_policy as p on d.classid = 'pg_catalog.pg_policy'::regclass and p.oid = d.objid
where d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = any(%(disappearing)s::oid[])
    and (
        (
            k.oid is not null
            and k.conrelid <> d.refobjid
            and k.conrelid <> all(%(disappearing)s::oid[])
            and k.conrelid <> all(%(tables)s::oid[])
        )
        -- a view that came with the table leaves with it, and is not among the dependents
        or (w.oid is not null and w.ev_class = any(%(dependents)s::oid[]))
        or (w.oid is not null and w.rulename <> '_RETURN' and w.ev_class <> all(%(disappearing)s::oid[]))
        or (p.oid is not null and p.polrelid <> all(%(disappearing)s::oid[]))
        or d.classid = 'pg_catalog.pg_proc'::regclass
    )

-- The identity sequence is replaced by the new table's own; another table that draws from it would be left behind.
select
    d.adrelid::regclass::text as object,
    format('its default draws from %%s, the identity sequence of %%s', s.oid::regclass, i.refobjid::regclass) as why,
    'give that column a sequence of its own, or make the identity column a serial one.' as remedy
from pg_catalog.pg_depend as i
join pg_catalog.pg_class as s on s.oid = i.objid and s.relkind = 'S'
join pg_catalog.pg_depend as u
    on u.refobjid = s.oid
        and u.refclassid = 'pg_catalog.pg_class'::regclass
        and u.classid = 'pg_catalog.pg_attrdef'::regclass
join pg_catalog.pg_attrdef as d on d.oid = u.objid
where i.refobjid = any(%(tables)s::oid[]) and i.classid = 'pg_catalog.pg_class'::regclass and i.deptype = 'i'

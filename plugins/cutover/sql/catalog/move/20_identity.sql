-- The new identity sequences go on where the old ones stand, read inside the lock.
select
    'identity sequences' as object,
    'select ' || string_agg(
        format(
            '(select setval(%%L, last_value, is_called) from %%s)',
            format('%%I.%%I', %(incoming_schema)s::text, s.relname), s.oid::regclass
        ), ', ' order by s.relname
    ) as statement
from pg_catalog.pg_depend as d
join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind = 'S'
where d.refobjid = any(%(replaced)s::oid[]) and d.classid = 'pg_catalog.pg_class'::regclass and d.deptype = 'i'
having count(*) > 0

-- Let go of what would otherwise travel with the old table: its sequences, and its place in publications.
select
    s.oid::regclass::text as object,
    format('alter sequence %%s owned by none', s.oid::regclass) as statement
from pg_catalog.pg_depend as d
join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind = 'S'
where d.refobjid = any(%(outgoing)s::oid[]) and d.classid = 'pg_catalog.pg_class'::regclass and d.deptype = 'a'
    and d.refobjid = any(%(replaced)s::oid[])
union all
select
    quote_ident(p.pubname),
    format(
        'alter publication %%I drop table only %%s', p.pubname,
        string_agg(m.prrelid::regclass::text, ', only ' order by m.prrelid::regclass::text)
    )
from pg_catalog.pg_publication_rel as m
join pg_catalog.pg_publication as p on p.oid = m.prpubid
where m.prrelid = any(%(outgoing)s::oid[])
group by p.pubname
union all
-- a function that returns the row type cannot change its result: it makes room for a new one, and goes when nothing
-- uses it any more
select
    f.oid::regprocedure::text,
    format('alter routine %%s set schema %%I', f.oid::regprocedure, %(backup_schema)s::text)
from pg_catalog.pg_proc as f
where f.oid = any(%(result_functions)s::oid[])

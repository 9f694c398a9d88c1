-- Let go of what would otherwise travel with the old table: its sequences, and its place in publications.
select
    s.oid::regclass::text as object,
    format('alter sequence %%s owned by none', s.oid::regclass) as statement
from pg_catalog.pg_depend as d
join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind = 'S'
where d.refobjid = any(%(outgoing)s::oid []) and d.classid = 'pg_catalog.pg_class'::regclass and d.deptype = 'a'
    and d.refobjid = any(%(replaced)s::oid [])
union all
select
    quote_ident(p.pubname),
    format('alter publication %%I drop table only %%s', p.pubname, m.prrelid::regclass)
from pg_catalog.pg_publication_rel as m
join pg_catalog.pg_publication as p on p.oid = m.prpubid
where m.prrelid = any(%(outgoing)s::oid [])
union all
-- a function that returns the row type cannot change its result: it is dropped here and made again below
select
    f.oid::regprocedure::text,
    format('drop function %%s', f.oid::regprocedure)
from pg_catalog.pg_proc as f
where f.oid = any(%(result_functions)s::oid [])

-- The incoming relations of all schemas lie in one schema before the move, and their statistics with them.
with moving as (
    select c.oid
    from pg_catalog.pg_class as c
    where c.oid = any(%(tables)s::oid[] || %(rebuilt)s::oid[])
    union all
    select x.indexrelid
    from pg_catalog.pg_index as x
    where x.indrelid = any(%(tables)s::oid[] || %(rebuilt)s::oid[])
    union all
    select d.objid
    from pg_catalog.pg_depend as d
    join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind = 'S'
    where d.classid = 'pg_catalog.pg_class'::regclass and d.deptype = 'i' and d.refobjid = any(%(tables)s::oid[])
),

named as (
    select
        m.oid::regclass::text as object,
        c.relname as name
    from moving as m
    join pg_catalog.pg_class as c on c.oid = m.oid
    union all
    select
        format('%%I.%%I', n.nspname, s.stxname),
        'statistics ' || s.stxname
    from pg_catalog.pg_statistic_ext as s
    join pg_catalog.pg_namespace as n on n.oid = s.stxnamespace
    where s.stxrelid = any(%(tables)s::oid[] || %(rebuilt)s::oid[])
)

select
    max(n.object) as object,
    format('%%s has the same name in another schema, and both are to be replaced', min(n.object)) as why,
    'rename one of them: alter index, table, sequence, statistics or materialized view ... rename to ...;' as remedy
from named as n
group by n.name
having count(*) > 1

-- The new relations take their names.
select
    c.oid::regclass::text as object,
    format(
        'alter %%s %%s set schema %%I',
        case c.relkind when 'm' then 'materialized view' else 'table' end, c.oid::regclass, t.schema_name
    ) as statement
from unnest(%(incoming_relations)s::oid[], %(incoming_targets)s::text[]) as t (oid, schema_name)
join pg_catalog.pg_class as c on c.oid = t.oid
union all
select
    quote_ident(s.stxname),
    format('alter statistics %%I.%%I set schema %%I', %(incoming_schema)s::text, s.stxname, n.nspname)
from pg_catalog.pg_statistic_ext as s
join pg_catalog.pg_namespace as n on n.oid = s.stxnamespace
where s.stxrelid = any(%(replaced)s::oid[] || %(materialized_views)s::oid[])
union all
select
    s.oid::regclass::text,
    format('alter sequence %%s owned by %%s.%%I', s.oid::regclass, d.refobjid::regclass, a.attname)
from pg_catalog.pg_depend as d
join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind = 'S'
join pg_catalog.pg_attribute as a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
where d.refobjid = any(%(replaced)s::oid[]) and d.classid = 'pg_catalog.pg_class'::regclass and d.deptype = 'a'

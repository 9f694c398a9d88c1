-- The old relations go to the backup schema. Indexes, constraints and identity sequences go with their table.
select
    c.oid::regclass::text as object,
    format(
        'alter %%s %%s set schema %%I',
        case c.relkind when 'm' then 'materialized view' else 'table' end, c.oid::regclass, %(backup_schema)s::text
    ) as statement
from pg_catalog.pg_class as c
where c.oid = any(%(outgoing)s::oid[]) or c.oid = any(%(materialized_views)s::oid[])
union all
select
    quote_ident(s.stxname),
    format('alter statistics %%I.%%I set schema %%I', n.nspname, s.stxname, %(backup_schema)s::text)
from pg_catalog.pg_statistic_ext as s
join pg_catalog.pg_namespace as n on n.oid = s.stxnamespace
where s.stxrelid = any(%(outgoing)s::oid[] || %(materialized_views)s::oid[])

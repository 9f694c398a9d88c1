-- Foreign keys to a merged table, unvalidated: every account they need has been merged a moment ago, and the
-- full check runs after the lock.
select
    quote_ident(k.conname) as object,
    format(
        'alter table %%s add constraint %%I %%s%%s', k.conrelid::regclass, k.conname, pg_get_constraintdef(k.oid),
        case when k.convalidated then ' NOT VALID' end
    ) as statement
from pg_catalog.pg_constraint as k
where k.conrelid = any(%(replaced)s::oid []) and k.contype = 'f' and k.confrelid = any(%(merged)s::oid [])
union all
select
    quote_ident(k.conname),
    format('comment on constraint %%I on %%s is %%L', k.conname, k.conrelid::regclass, obj_description(k.oid, 'pg_constraint'))
from pg_catalog.pg_constraint as k
where k.conrelid = any(%(replaced)s::oid []) and k.contype = 'f' and k.confrelid = any(%(merged)s::oid [])
    and obj_description(k.oid, 'pg_constraint') is not null

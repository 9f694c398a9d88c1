-- What the inventory does not say of a table: whom it inherits from, and who from it; and which keys to live tables it
-- gets in the move, if production does not have it.
select
    'inheritance' as kind,
    'parent ' || format('%%I.%%I', n.nspname, p.relname) as object,
    i.inhseqno::text as definition
from pg_catalog.pg_inherits as i
join pg_catalog.pg_class as p on p.oid = i.inhparent
join pg_catalog.pg_namespace as n on n.oid = p.relnamespace
where i.inhrelid = to_regclass(%(table)s)
union all
select
    'inheritance',
    'child ' || format('%%I.%%I', n.nspname, p.relname),
    i.inhseqno::text
from pg_catalog.pg_inherits as i
join pg_catalog.pg_class as p on p.oid = i.inhrelid
join pg_catalog.pg_namespace as n on n.oid = p.relnamespace
where i.inhparent = to_regclass(%(table)s)
union all
select
    'live key',
    k.constraint_name,
    k.definition
from cutover.released_key as k
where k.backup_schema = %(schema)s and k.table_name = %(name)s
order by 1, 2

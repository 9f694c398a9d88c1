-- What stands under a name: its kind, its name as it is written, and whether it has a row.
select
    c.oid::integer as oid,
    c.relkind::text as kind,
    format('%%I.%%I', n.nspname, c.relname) as written,
    c.relispartition or exists (
        select from pg_catalog.pg_inherits as i where c.oid in (i.inhrelid, i.inhparent)
    ) as is_inherited
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
where n.nspname = %(schema)s and c.relname = %(table)s

-- Foreign keys and checks that are valid now and that the swap adds again unvalidated: to be validated after the lock.
select k.conrelid::regclass::text || ':' || quote_ident(k.conname) as object
from pg_catalog.pg_constraint as k
where k.contype = 'f' and k.convalidated
    and (
        (k.oid = any(%(outside_keys)s::oid[]) and k.oid <> all(%(attached_keys)s::oid[]))
        or k.oid = any(%(leaf_keys)s::oid[])
        or (k.conrelid = any(%(replaced)s::oid[]) and k.confrelid <> all(%(outgoing)s::oid[]))
    )
union all
select k.conrelid::regclass::text || ':' || quote_ident(k.conname)
from pg_catalog.pg_constraint as k
where k.convalidated and k.oid = any(%(outside_checks)s::oid[])
union all
select quote_ident(t.schema_name) || '.' || quote_ident(r.table_name) || ':' || quote_ident(r.constraint_name)
from cutover.released_key as r
join unnest(%(arriving)s::text[], %(arriving_schemas)s::text[]) as t (table_name, schema_name)
    on t.table_name = r.table_name
where r.backup_schema = %(incoming_schema)s::text
order by 1

-- Foreign keys that are valid now and that the swap adds again unvalidated: to be validated after the lock.
select k.conrelid::regclass::text || ':' || quote_ident(k.conname) as object
from pg_catalog.pg_constraint as k
where k.contype = 'f' and k.convalidated
    and (
        (k.oid = any(%(outside_keys)s::oid[]) and k.oid <> all(%(attached_keys)s::oid[]))
        or k.oid = any(%(leaf_keys)s::oid[])
        or (k.conrelid = any(%(replaced)s::oid[]) and k.confrelid = any(%(merged)s::oid[]))
    )
order by 1

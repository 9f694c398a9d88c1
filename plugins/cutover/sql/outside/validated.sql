select c.oid
from pg_catalog.pg_constraint as c
where c.oid = any(%(keys)s::oid[]) and c.convalidated

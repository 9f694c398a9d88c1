-- Whether this role may make the database that a dump is restored into.
select r.rolcreatedb or r.rolsuper as may_create
from pg_catalog.pg_roles as r
where r.rolname = current_user

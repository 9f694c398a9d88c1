-- Sessions whose snapshot was taken before the staging tables were filled: after the swap they would read the new
-- tables as empty, without an error.
select
    a.pid,
    a.usename as "user",
    a.application_name as application,
    now() - a.xact_start as age,
    left(regexp_replace(a.query, '\s+', ' ', 'g'), 160) as query
from pg_catalog.pg_stat_activity as a
where a.datname = current_database() and a.pid <> pg_backend_pid() and a.backend_xmin is not null
    and a.backend_type = 'client backend' and age(a.backend_xmin) > age(%(staged_xid)s::xid8::xid)
order by a.xact_start

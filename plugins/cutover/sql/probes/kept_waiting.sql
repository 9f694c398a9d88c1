-- Whether somebody waits for a lock that a session holds.
select count(*) > 0 as is_kept_waiting
from pg_catalog.pg_locks as l
where not l.granted and l.pid <> %(pid)s and %(pid)s = any(pg_catalog.pg_blocking_pids(l.pid))

-- What a session is told from others by, also from one that gets its number later.
select
    s.pid,
    s.backend_start
from pg_stat_activity as s
where s.pid = pg_backend_pid()

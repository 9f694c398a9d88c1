-- Sessions whose snapshot was taken before the swap and may be read with after it: of the incoming tables they would
-- see what was loaded, without what was carried; and nothing at all if they are older than the load. Of a session that
-- is between two statements the snapshot is its transaction's (REPEATABLE READ, or an open cursor). Of one that works
-- it cannot be told from outside: it counts if it is in a transaction block that has been open for a while. A statement
-- by itself does not: it has the locks of all that it reads.
select
    a.pid,
    a.usename as "user",
    a.application_name as application,
    now() - a.xact_start as age,
    left(regexp_replace(a.query, '\s+', ' ', 'g'), 160) as query
from pg_catalog.pg_stat_activity as a
where a.datname = current_database() and a.pid <> pg_backend_pid() and a.backend_xmin is not null
    and a.backend_type = 'client backend'
    and (
        a.state like 'idle in transaction%%'
        or (a.query_start > a.xact_start and a.xact_start < clock_timestamp() - %(seconds)s * interval '1 second')
        or age(a.backend_xmin) > age(%(staged_xid)s::xid8::xid)
    )
order by a.xact_start

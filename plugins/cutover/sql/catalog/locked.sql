-- The moment when the locks are held, and a session that took a snapshot for a whole transaction just before it and
-- is not waiting for us: it would read the new tables as of then.
select
    clock_timestamp(),
    (
        select min(a.pid)
        from pg_catalog.pg_stat_activity as a
        where a.datname = current_database() and a.pid <> pg_backend_pid() and a.backend_xmin is not null
            and a.backend_type = 'client backend' and a.state like 'idle in transaction%'
    )

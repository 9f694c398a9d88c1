-- By where WAL is inserted: what waits in memory to be written counts, too.
select
    pg_current_wal_insert_lsn()::text as position,
    pg_wal_lsn_diff(pg_current_wal_insert_lsn(), %(since)s::pg_lsn)::bigint as written

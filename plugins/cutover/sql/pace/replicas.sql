-- How far each replica is behind. PostgreSQL hides all but its process from a role without pg_read_all_stats. What
-- takes WAL and replays none (pg_receivewal, the stream of a base backup) counts by what it has written down. A base
-- backup is no replica, nor is who has not asked for WAL yet; logical replication sends none of what a launch builds.
select
    coalesce(nullif(r.application_name, ''), format('process %%s', r.pid))
    || coalesce(format(' at %%s', host(r.client_addr)), '') as replica,
    r.state is null as is_hidden,
    pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(r.replay_lsn, r.flush_lsn, r.write_lsn))::bigint as bytes,
    extract(epoch from r.replay_lag)::double precision as seconds
from pg_catalog.pg_stat_replication as r
where
    coalesce(r.state, '') not in ('backup', 'startup')
    and not coalesce(r.application_name, '') = any(%(ignored)s::text[])
    and not exists (
        select from pg_catalog.pg_replication_slots as s
        where s.active_pid = r.pid and s.slot_type = 'logical'
    )
order by replica, bytes desc

-- Claims whose sender is gone: nobody knows whether their messages have been delivered.
update cutover.announcement as n
set state = 'unknown', reason = 'its sender died', ended_at = clock_timestamp()
where
    n.migration = %(migration)s
    and n.campaign = %(campaign)s
    and n.state = 'claimed'
    and (
        n.claimed_at < clock_timestamp() - %(limit)s::interval
        or not exists (
            select from pg_stat_activity as s
            where s.pid = n.sender_pid and s.backend_start = n.sender_started
        )
    )

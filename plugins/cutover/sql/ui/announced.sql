-- What has become of all messages by now, by campaign and channel. A claim whose session is gone is of nobody.
select
    n.campaign,
    n.channel,
    case
        when
            n.state = 'claimed'
            and not exists (
                select from pg_stat_activity as s
                where s.pid = n.sender_pid and s.backend_start = n.sender_started
            )
            then 'unknown'
        else n.state
    end as state,
    count(*) as people,
    max(coalesce(n.ended_at, n.claimed_at)) as last_at
from cutover.announcement as n
where n.migration = %(migration)s
group by 1, 2, 3
order by 1, 2, 4 desc

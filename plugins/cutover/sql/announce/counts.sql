-- What has become of each message to the audience of a run, whichever run has sent it.
select
    a.channel,
    case
        when a.erased_at is not null or a.skip is not null then 'skipped'
        when n.state is null or n.state = 'deferred' or (n.state = 'skipped' and n.run <> a.run) then 'waiting'
        else n.state
    end as state,
    case
        when a.erased_at is not null then 'erased'
        when a.skip is not null then a.skip
        -- of what the other side has said, its codes: the rest is another one for each recipient
        when n.state in ('skipped', 'failed', 'unknown') and n.run = a.run
            then coalesce(substring(n.reason from '^[0-9]{{3}}(?: [0-9][.][0-9]+[.][0-9]+| [A-Z_]+)?'), n.reason)
    end as reason,
    count(*) as people
from cutover.audience as a
left join cutover.announcement as n
    on
        a.channel = n.channel
        and a.person = n.person
        and n.migration = %(migration)s
        and n.campaign = %(campaign)s
where a.run = %(run)s
group by 1, 2, 3
order by 1, 2, 4 desc, 3

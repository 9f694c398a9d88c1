-- Of the audience of a run, those whose message has not been claimed yet, or was refused for now.
select a.audience_id
from cutover.audience as a
left join cutover.announcement as n
    on
        a.channel = n.channel
        and a.person = n.person
        and n.migration = %(migration)s
        and n.campaign = %(campaign)s
where
    a.run = %(run)s
    and a.channel = %(channel)s
    and a.skip is null
    and a.erased_at is null
    and (n.state is null or n.state = 'deferred' or (n.state = 'skipped' and n.run <> a.run))
order by a.audience_id

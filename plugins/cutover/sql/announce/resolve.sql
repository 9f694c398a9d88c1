-- What a person has found out about messages of which nobody knew: delivered, or not, and then they are sent again.
update cutover.announcement as n
set
    state = %(state)s,
    reason = 'resolved by ' || %(by)s,
    ended_at = clock_timestamp()
from cutover.run as r
where
    r.run = %(run)s
    and n.migration = %(migration)s
    and n.campaign = %(campaign)s
    and n.state = 'unknown'
    and n.ended_at < r.started_at

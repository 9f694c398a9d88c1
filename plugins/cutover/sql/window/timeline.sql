select
    step,
    planned_at,
    started_at,
    ended_at,
    note
from cutover.timeline
where run = %(run)s
order by position asc, coalesce(started_at, planned_at) asc

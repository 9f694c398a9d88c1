select
    w.name,
    w.moment,
    w.value,
    w.verdict,
    w.detail,
    w.counted,
    w.looked_at
from cutover.watch as w
where w.run = %(run)s
order by w.watch_id

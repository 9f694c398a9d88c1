-- The newest record of each step of a run.
select distinct on (p.step)
    p.step,
    p.record_id,
    p.holds,
    p.made_from,
    p.result,
    p.recorded_at
from cutover.phase as p
where p.run = %(run)s
order by p.step, p.record_id desc

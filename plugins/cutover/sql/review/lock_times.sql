-- How long clients waited in the swaps and rollbacks so far, newest first.
select
    l.run,
    l.action,
    extract(epoch from l.recorded_at - l.locked_at) * 1000 as waited_ms,
    l.attempts
from cutover.ledger as l
where l.migration = %(migration)s
order by l.entry desc
limit 20

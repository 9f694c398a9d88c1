select
    l.entry,
    l.recorded_at,
    l.carried
from cutover.ledger as l
where l.run = %(run)s

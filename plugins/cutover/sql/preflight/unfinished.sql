select
    l.run,
    l.action
from cutover.ledger as l
where
    l.migration = %(migration)s
    and l.run <> %(run)s
    and not exists (select from cutover.certificate as c where c.run = l.run)

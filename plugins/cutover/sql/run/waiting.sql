-- Runs that have staged something and have not swapped it.
select r.run
from cutover.run as r
where
    r.migration = %(migration)s
    and r.staged_at is not null
    and not exists (select from cutover.ledger as l where l.run = r.run)
order by r.started_at desc
limit 1

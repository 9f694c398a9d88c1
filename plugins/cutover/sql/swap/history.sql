-- The entries of a migration, oldest first.
select
    l.entry,
    l.run,
    l.action,
    l.undoes
from cutover.ledger as l
where l.migration = %(migration)s
order by l.entry

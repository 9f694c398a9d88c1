-- Sources of which more rows were rejected than a launch may leave behind: odd rows are few; many are a mistake.
select
    b.source,
    b.read,
    b.rejected,
    greatest(%(rows)s, floor(%(share)s * b.read)) as most,
    b.reasons -> 'rejected' as reasons
from cutover.reconciliation as b
where
    b.run = %(run)s
    and b.rejected > greatest(%(rows)s, %(share)s * b.read)
order by b.source asc

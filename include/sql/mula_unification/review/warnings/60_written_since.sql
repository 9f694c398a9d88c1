-- Rows that the applications have written to their own databases since the copy, and that are not in this run
select
    source,
    written,
    removed,
    looked_at
from cutover.late_write
where
    run = %(run)s
    and moment = 'review'
    and (written > 0 or removed > 0)
order by source

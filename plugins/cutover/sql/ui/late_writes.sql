-- Rows of the sources that were written after the copy that a run is made from.
select
    moment,
    source,
    written,
    removed,
    looked_at
from cutover.late_write
where run = %(run)s
order by looked_at asc, source asc

-- A request, for as long as it is being done; what came of it, where that is so already.
select
    r.subject,
    r.requested_by,
    r.run,
    r.counts
from cutover.restoration as r
where r.restoration_id = %(number)s and r.migration = %(migration)s
for update

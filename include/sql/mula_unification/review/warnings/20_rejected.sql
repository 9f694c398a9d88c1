-- Source rows that were rejected, by reason
select
    source,
    reason,
    source_id
from cutover.rejects
where run = %(run)s
order by source asc, reason asc, source_id asc

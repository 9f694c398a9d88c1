-- Source rows that could not be used, kept whole in cutover.rejects.
select
    source,
    source_id,
    reason,
    detail
from cutover.rejects
where run = %(run)s
order by source asc, reason asc, source_id asc

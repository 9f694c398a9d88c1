-- Source rows that could not be read any more as they are now: the form in which they were read before is used.
select
    source,
    source_id,
    reason,
    detail
from input.unreadable
where has_earlier_form
order by source asc, source_id asc

-- Whom a request is about; null when it has been done.
select e.subject
from cutover.erasure as e
where e.erasure_id = %(erasure_id)s and e.migration = %(migration)s

-- Whom a request is about; null when it has been done.
select r.subject
from {requests} as r
where r.{number} = %(number)s and r.migration = %(migration)s

-- The number of a run's newest question.
select q.number
from cutover.question as q
where q.run = %(run)s

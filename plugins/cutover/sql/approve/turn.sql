-- One answer after the other: each sees those before it.
select r.run
from cutover.run as r
where r.run = %(run)s
for no key update

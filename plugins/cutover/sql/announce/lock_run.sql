-- One sender of a run begins after the other: what the first has settled, the second finds.
select r.run
from cutover.run as r
where r.run = %(run)s
for no key update

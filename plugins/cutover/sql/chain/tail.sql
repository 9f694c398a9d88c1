select
    c.link,
    c.head
from cutover.chain as c
order by c.link desc
limit 1

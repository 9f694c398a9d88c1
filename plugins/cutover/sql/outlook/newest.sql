select o.codes
from cutover.outlook as o
where o.run = %(run)s
order by o.outlook_id desc
limit 1

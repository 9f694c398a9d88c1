select
    o.seen_at,
    o.codes
from cutover.outlook as o
where o.run = %(run)s
order by o.outlook_id

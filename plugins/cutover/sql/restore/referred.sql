-- Rows that others refer to which do not go themselves, and one of those for each.
select
    i.ctid::text as place,
    min({referring_key}) as referring_key
from {live} as i
join {referring} as o on {matches}
where
    i.ctid = any(%(places)s::tid[])
    and not (o.tableoid = i.tableoid and o.ctid = any(%(places)s::tid[]))
group by i.ctid

-- A stretch of a staged table in the order of its key: which of its rows production does not have, and what they hold.
select
    {key} as key,
    case when {missing} then 'added' end as kind,
    null::json as before,
    case when {missing} then {after} end as after,
    null::text[] as differing
from (
    select
        i.ctid,
        i.*
    from {staged} as i
    where {behind}
    order by {place}
    limit {size}
) as i
left join {live} as o on {matches}
order by {place}

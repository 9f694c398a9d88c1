-- A stretch of a live table in the order of its key: which of its rows would be gone or changed, and what they hold.
select
    {key} as key,
    d.kind,
    case when d.kind is not null then {before} end as before,
    case when d.kind = 'changed' then {after} end as after,
    case when d.kind = 'changed' then array_remove(array[{differing}]::text[], null) end as differing
from (select o.* from {live} as o where {behind} order by {place} limit {size}) as o
left join {staged} as i on {matches}
cross join
    lateral (
        -- with a limit it is told once for each row, and not for each column above
        select case when {missing} then 'removed' when {differs} then 'changed' end as kind
        limit 1
    ) as d
order by {place}

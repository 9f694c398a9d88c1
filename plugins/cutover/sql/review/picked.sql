-- The rows that were picked by their places: as they are, as they would be, and in which columns they differ.
with picked as materialized (
    select
        chosen.before,
        chosen.after,
        chosen.differing,
        row_number() over () as place
    from ({picks}) as chosen
)

select
    case when o.ctid is not null then {before} end as before,
    case when i.ctid is not null then {after} end as after,
    picked.differing
from picked
left join {live} as o on picked.before = o.ctid
left join {staged} as i on picked.after = i.ctid
order by picked.place

-- The places of a few staged rows that the live table does not have yet: what the merge will insert.
select
    null::tid as before,
    s.ctid as after,
    null::text[] as differing
from {staged} as s
where not exists (select from {live} as l where l.id = s.id)
order by s.id
limit {limit}

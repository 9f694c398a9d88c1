-- The places of the first rows of a table that production does not have yet.
select
    null::tid as before,
    s.ctid as after,
    null::text[] as differing
from {staged} as s
limit {limit}

-- The first rows of a table that production does not have yet.
select
    null::jsonb as before,
    to_jsonb(s) as after
from {staged} as s
limit %(limit)s

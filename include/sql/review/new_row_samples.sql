-- A few staged rows that the live table does not have yet: what the merge will insert.
select
    null::jsonb as before,
    to_jsonb(s) as after
from {staged} as s
where not exists (select from {live} as l where l.id = s.id)
order by s.id
limit %(limit)s

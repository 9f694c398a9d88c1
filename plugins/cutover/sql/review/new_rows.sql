-- Staged rows that the live table does not have yet, by id: what the merge will insert.
select count(*) as new_rows
from {staged} as s
where not exists (select from {live} as l where l.id = s.id)

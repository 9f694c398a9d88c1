-- One production row by a column that names it.
select to_jsonb(t) as row_found
from {live} as t
where t.{column} = %(value)s
limit 1

-- One production row by a column that names it: the columns that may be read, and no other.
select to_jsonb(found) as row_found
from (
    select {columns}
    from {live} as t
    where t.{column} = %(value)s
    limit 1
) as found

-- Rows of one table.
select count(*) as row_count
from {source}

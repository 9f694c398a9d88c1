-- Values of one row for the columns of a table that a query compares its parameters with, as text.
select pg_catalog.json_build_array({columns})
from {table} as t
where {present}
limit 1

-- How many of these rows are where they were.
select count(*)
from {live} as t
where t.ctid = any(%(places)s::tid[])

-- How many rows are a person's, or name them.
select count(*)
from {copy} as t
where {condition}

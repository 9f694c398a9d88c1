-- What a column of lists holds in the rows of a person.
select distinct item.value
from {copy} as t
cross join lateral unnest(t.{lead}::text[]) as item (value)
where {condition} and item.value is not null

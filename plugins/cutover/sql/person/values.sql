-- What a column holds in the rows of a person.
select distinct t.{lead}::text
from {copy} as t
where {condition} and t.{lead} is not null

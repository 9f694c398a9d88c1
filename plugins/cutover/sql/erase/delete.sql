-- The rows of a person.
delete from {copy} as t
where {condition}

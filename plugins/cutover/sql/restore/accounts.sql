-- By what people are named in their rows of a backup.
select distinct {value} as value
from {copy} as t
where {condition} and {lead} is not null and t.xmin::text::numeric is distinct from mod(%(but)s::numeric, 4294967296)

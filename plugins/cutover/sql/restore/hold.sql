-- Nothing can come to refer to these rows from now on: whoever has just done so is waited for.
select count(*)
from (select from {live} as t where t.ctid = any(%(places)s::tid[]) for update) as held

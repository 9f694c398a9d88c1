-- Take a turn for the time of this transaction, after whoever has it now.
select t.name
from cutover.turn as t
where t.name = %(name)s
for update

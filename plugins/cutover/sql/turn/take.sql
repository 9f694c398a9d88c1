-- Take a turn for the time of this transaction: one row, or none if another transaction has it.
select t.name
from cutover.turn as t
where t.name = %(name)s
for update skip locked

-- Rows of the backup that are not there any more.
insert into {live} ({columns}) overriding system value
select {values}
from {copy} as b
where b.ctid = any({sources}::tid[])

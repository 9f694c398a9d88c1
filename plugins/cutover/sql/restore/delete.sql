-- Live rows that the backup does not have.
delete from {live} as t
where t.ctid = any({places}::tid[])

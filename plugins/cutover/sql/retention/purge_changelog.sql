-- A captured write is kept as long as the table that it was made to.
delete from cutover.changelog as l
where not exists (select from pg_catalog.pg_class as c where c.oid = l.relid)

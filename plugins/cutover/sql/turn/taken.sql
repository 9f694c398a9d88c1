-- Whether another transaction has a turn at this moment; only looks, and is in nobody's way. The row's xmax is of
-- whoever locked it last.
select count(*) > 0 as is_taken
from cutover.turn as t
inner join pg_catalog.pg_locks as l on t.xmax = l.transactionid
where t.name = %(name)s and l.locktype = 'transactionid' and l.granted and l.pid <> pg_backend_pid()

-- Sessions that have held a lock for so long that queueing behind them would make clients wait behind us: whoever
-- is quicker than this is worth waiting for. On a table that stays only writers are in the way.
select distinct a.pid
from pg_catalog.pg_locks as l
join pg_catalog.pg_stat_activity as a on a.pid = l.pid
where l.locktype = 'relation' and l.granted and l.pid <> pg_backend_pid()
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
    and (
        l.relation = any(%(exclusive)s::oid[])
        or (l.relation = any(%(shared)s::oid[]) and l.mode not in ('AccessShareLock', 'RowShareLock'))
    )
    and a.xact_start < clock_timestamp() - %(seconds)s * interval '1 second'
union all
select null
from pg_catalog.pg_locks as l
join pg_catalog.pg_locks as x
    on x.locktype = 'transactionid' and x.pid is null and x.virtualtransaction = l.virtualtransaction
join pg_catalog.pg_prepared_xacts as p on p.transaction = x.transactionid
where l.pid is null and l.locktype = 'relation' and p.database = current_database()
    and (
        l.relation = any(%(exclusive)s::oid[])
        or (l.relation = any(%(shared)s::oid[]) and l.mode not in ('AccessShareLock', 'RowShareLock'))
    )
    and p.prepared < clock_timestamp() - %(seconds)s * interval '1 second'

-- Sessions that have held a lock for so long that queueing behind them would make clients wait behind us: whoever
-- is quicker than this is worth waiting for. On a merged table only writers are in the way.
select distinct a.pid
from pg_catalog.pg_locks as l
join pg_catalog.pg_stat_activity as a on a.pid = l.pid
where l.locktype = 'relation' and l.granted and l.pid <> pg_backend_pid()
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
    and (
        l.relation = any(%(exclusive)s::oid[])
        or (l.relation = any(%(merged)s::oid[]) and l.mode not in ('AccessShareLock', 'RowShareLock'))
    )
    and a.xact_start < clock_timestamp() - %(seconds)s * interval '1 second'

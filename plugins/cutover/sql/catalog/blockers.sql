-- Sessions that hold, or wait in front of us for, a lock on one of the given relations: who, since when, with what.
-- A prepared transaction has no session any more; its locks stay until somebody ends it.
-- Of a session of another role, PostgreSQL shows neither state nor query without pg_read_all_stats.
select
    a.pid,
    a.usename as "user",
    a.application_name as application,
    a.state,
    now() - a.xact_start as age,
    string_agg(distinct format('%%s on %%s', l.mode, l.relation::regclass), ', ') as locks,
    case when a.backend_type is null then quote_ident(current_user) end as hidden_from,
    left(regexp_replace(a.query, '\s+', ' ', 'g'), 160) as query
from pg_catalog.pg_locks as l
join pg_catalog.pg_stat_activity as a on a.pid = l.pid
where l.locktype = 'relation'
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
    and l.relation = any(%(relations)s::oid[]) and l.pid <> pg_backend_pid() and l.granted
group by a.pid, a.usename, a.application_name, a.state, a.xact_start, a.backend_type, a.query
union all
select
    null,
    p.owner,
    null,
    'prepared as ' || quote_literal(p.gid),
    now() - p.prepared,
    string_agg(distinct format('%%s on %%s', l.mode, l.relation::regclass), ', '),
    null,
    format('commit prepared %%L; or: rollback prepared %%L;', p.gid, p.gid)
from pg_catalog.pg_locks as l
join pg_catalog.pg_locks as x
    on x.locktype = 'transactionid' and x.pid is null and x.virtualtransaction = l.virtualtransaction
join pg_catalog.pg_prepared_xacts as p on p.transaction = x.transactionid
where l.pid is null and l.locktype = 'relation' and l.relation = any(%(relations)s::oid[])
    and p.database = current_database()
group by p.owner, p.gid, p.prepared
order by 5 desc

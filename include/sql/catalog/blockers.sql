-- Sessions that hold, or wait in front of us for, a lock on one of the given relations: who, since when, with what.
select
    a.pid,
    a.usename as "user",
    a.application_name as application,
    a.state,
    now() - a.xact_start as age,
    string_agg(distinct format('%%s on %%s', l.mode, l.relation::regclass), ', ') as locks,
    left(regexp_replace(a.query, '\s+', ' ', 'g'), 160) as query
from pg_catalog.pg_locks as l
join pg_catalog.pg_stat_activity as a on a.pid = l.pid
where l.locktype = 'relation'
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
    and l.relation = any(%(relations)s::oid[]) and l.pid <> pg_backend_pid() and l.granted
group by a.pid, a.usename, a.application_name, a.state, a.xact_start, a.query
order by a.xact_start

-- What this database has spent most time on, without what the engine has asked.
select
    s.queryid,
    s.userid::bigint as role,
    s.query,
    s.calls,
    s.mean_exec_time as mean_ms
from {statements} as s
where s.dbid = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
    and s.userid <> (select r.oid from pg_catalog.pg_roles as r where r.rolname = current_user)
    and s.query ~* '^(\s|--[^\n]*\n|/\*.*?\*/|\()*(select|with)\M'
order by s.total_exec_time desc
limit {most}

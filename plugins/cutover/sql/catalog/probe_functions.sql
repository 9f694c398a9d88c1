-- Every function that a query may call: whether a role other than the given one and superusers can change it, and, if
-- it is written in SQL or a procedural language, its text.
select
    p.oid::bigint as oid,
    p.oid::regprocedure::text as name,
    p.proname,
    p.provolatile = 'v' as is_volatile,
    pg_catalog.pg_get_userbyid(p.proowner) as owner,
    p.proowner <> %(owner)s::regrole and not r.rolsuper as is_foreign,
    case when l.lanname not in ('c', 'internal') then coalesce(p.prosrc, '') end as text
from pg_catalog.pg_proc as p
join pg_catalog.pg_language as l on l.oid = p.prolang
join pg_catalog.pg_roles as r on r.oid = p.proowner
where p.oid >= 16384 or p.provolatile = 'v'

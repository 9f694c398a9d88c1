-- A function that is bound to the tables is made again from its text. Some of what it may have only a superuser can
-- give.
with bound as (
    select p.*
    from pg_catalog.pg_proc as p
    where p.oid = any(%(functions)s::oid[])
        and not (select r.rolsuper from pg_catalog.pg_roles as r where r.rolname = current_user)
)

select
    b.oid::regprocedure::text as object,
    'it is LEAKPROOF, which only a superuser may declare' as why,
    format('alter function %%s not leakproof; and declare it again after the swap.', b.oid::regprocedure) as remedy
from bound as b
where b.proleakproof
union all
select
    b.oid::regprocedure::text,
    format('it is written in %%s, which only a superuser may use', l.lanname),
    'drop it for the time of the swap and make it again afterwards.'
from bound as b
join pg_catalog.pg_language as l on l.oid = b.prolang
where not l.lanpltrusted
union all
select
    b.oid::regprocedure::text,
    format('it has the support function %%s, which only a superuser may declare', b.prosupport),
    'drop it for the time of the swap and make it again afterwards: what it supports cannot be taken off it.'
from bound as b
where b.prosupport <> 0
union all
select
    b.oid::regprocedure::text,
    format('it sets %%s, which only a superuser may set, or who was given that right', s.name),
    format('alter function %%s reset %%s; and set it again after the swap.', b.oid::regprocedure, s.name)
from bound as b
cross join lateral unnest(b.proconfig) as c (setting)
join pg_catalog.pg_settings as s on s.name = split_part(c.setting, '=', 1)
where s.context in ('superuser', 'superuser-backend') and s.name <> all(%(settable)s::text[])

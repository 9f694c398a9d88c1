-- The fence as it is, on each of the named tables: the transactions that made its function and its trigger. Whatever is
-- dropped, disabled, enabled again or made anew has another one; null where no trigger refuses.
with refusing as (
    select
        p.oid,
        p.oid::text || '/' || p.xmin::text as made
    from pg_catalog.pg_proc as p
    inner join pg_catalog.pg_namespace as n on p.pronamespace = n.oid
    where n.nspname = 'cutover_fence' and p.proname = 'refuse' and p.prosrc like '%%raise exception%%'
)

select
    format('%%I.%%I', n.nspname, c.relname) as table_name,
    refusing.made || ' ' || t.oid::text || '/' || t.xmin::text as made
from unnest(%(tables)s::text[]) as named (name)
inner join pg_catalog.pg_class as c on c.oid = to_regclass(named.name)
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
left join refusing on true
left join
    pg_catalog.pg_trigger as t
    on
        c.oid = t.tgrelid
        and t.tgname = 'cutover_fence'
        and t.tgfoid = refusing.oid
        and t.tgenabled = 'A'
order by 1

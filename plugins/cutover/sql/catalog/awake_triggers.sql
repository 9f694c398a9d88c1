-- Triggers of a table that run when its rows are written, and how each is switched on; with `captures` those of the
-- engine's own write capture, too.
select
    t.tgname::text as trigger_name,
    case t.tgenabled when 'R' then 'replica' when 'A' then 'always' else '' end as way
from pg_catalog.pg_trigger as t
join pg_catalog.pg_proc as p on t.tgfoid = p.oid
where
    t.tgrelid = to_regclass(%(name)s) and not t.tgisinternal and t.tgenabled <> 'D'
    and (%(captures)s or p.pronamespace <> 'cutover'::regnamespace)

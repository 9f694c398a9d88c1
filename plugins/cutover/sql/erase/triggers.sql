-- Triggers of a table that would run when its rows are deleted, and how each is switched on.
select
    t.tgname::text as trigger_name,
    case t.tgenabled when 'R' then 'replica' when 'A' then 'always' else '' end as way
from pg_catalog.pg_trigger as t
where t.tgrelid = to_regclass(%(name)s) and not t.tgisinternal and t.tgenabled <> 'D'

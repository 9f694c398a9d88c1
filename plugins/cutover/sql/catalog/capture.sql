-- The statements that give tables the triggers which record writes. `enabled` is how: enable always, or not yet.
-- A table that has them as they are to be gets none: whoever makes a trigger anew ends the proof, for every run that
-- waits, that nothing was written past it.
with wanted as (
    select
        n.name,
        w.tgname,
        w.tgtype,
        w.event,
        format(w.function, to_regclass(n.name)::oid) as function,
        to_regclass(n.name)::oid as relid,
        case when %(enabled)s::text = 'enable always' then 'A' else 'D' end as tgenabled
    from unnest(%(names)s::text[]) as n (name)
    cross join
        lateral (
            values
            ('cutover_capture', 29, 'insert or update or delete on %%s for each row', 'capture_%%s()'),
            ('cutover_capture_truncate', 32, 'truncate on %%s for each statement', 'capture()')
        ) as w (tgname, tgtype, event, function)
),

-- is_ours: the trigger of that name is the one that is made here, and no other
found as (
    select
        w.*,
        t.oid as trigger,
        t.tgenabled = w.tgenabled as is_enabled,
        t.tgfoid in (to_regprocedure('cutover.capture()'), to_regprocedure('cutover.' || w.function))
        and t.tgtype = w.tgtype and t.tgconstraint = 0
        and t.tgqual is null and t.tgattr::text = '' and t.tgnargs = 0 as is_ours
    from wanted as w
    left join pg_catalog.pg_trigger as t on t.tgrelid = w.relid and t.tgname = w.tgname and not t.tgisinternal
)

select
    f.name as object,
    s.statement
from found as f
cross join
    lateral (
        values
        (1, case when not f.is_ours then format('drop trigger %%I on %%s', f.tgname, f.name) end),
        (2, case
            when f.is_ours is not true
                then format(
                        'create trigger %%I after %%s execute function cutover.%%s',
                        f.tgname, format(f.event, f.name), f.function
                    )
        end),
        (3, case
            when (f.is_ours and f.is_enabled) is not true
                then format('alter table %%s %%s trigger %%I', f.name, %(enabled)s::text, f.tgname)
        end)
    ) as s (position, statement)
where s.statement is not null
order by f.name, f.tgname, s.position

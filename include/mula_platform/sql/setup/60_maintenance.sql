-- When the maintenance window of the sources is, for people: of the newest run that has asked for one and is not over.
-- No row: there is none. It is open from the fence to the swap, or until the sources are opened again: after a swap
-- they stay fenced, and the platform is what people use.
create or replace function platform.maintenance()
returns table (opens_at timestamptz, ends_at timestamptz, is_open boolean)
language sql stable security definer set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
    select w.opens_at, coalesce(w.fenced_until, w.opens_at + w.length), w.is_open
    from (
        select
            coalesce(fence.started_at, nullif(r.parameters ->> 'window_opens', '')::timestamptz) as opens_at,
            (
                select max((p.result ->> 'ends_at')::timestamptz)
                from cutover.phase as p
                where p.run = r.run and p.step = 'fence'
            ) as fenced_until,
            make_interval(mins => coalesce((r.parameters ->> 'window_minutes')::numeric, 60)::integer) as length,
            fence.ended_at is not null
            and release.ended_at is null
            and not exists (select from cutover.ledger as entry where entry.run = r.run) as is_open,
            r.finished_at
        from cutover.run as r
        left join cutover.timeline as fence on fence.run = r.run and fence.step = 'fence'
        left join cutover.timeline as release on release.run = r.run and release.step = 'release'
        where
            r.migration = 'mula_unification' and r.dag_id = 'mula_unification'
            and (r.parameters ->> 'maintenance_window')::boolean
            and not coalesce((r.parameters ->> 'dry_run')::boolean, false)
        order by r.started_at desc
        limit 1
    ) as w
    where w.is_open or (w.finished_at is null and w.opens_at > now())
$$;

-- The steps of that run's window: what was planned for when, and when it was.
create or replace function platform.maintenance_steps()
returns table (step text, planned_at timestamptz, started_at timestamptz, ended_at timestamptz)
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select t.step, t.planned_at, t.started_at, t.ended_at
    from cutover.timeline as t
    where t.run = (
        select r.run
        from cutover.run as r
        where r.migration = 'mula_unification' and exists (select from cutover.timeline as s where s.run = r.run)
        order by r.started_at desc
        limit 1
    )
    order by t.position, coalesce(t.started_at, t.planned_at)
$$;

revoke all on function platform.maintenance(), platform.maintenance_steps() from public;
grant execute on function platform.maintenance(), platform.maintenance_steps() to mula_platform;
-- with the rights of the engine's role, which owns what they read, and not of whoever runs this
do $$
begin
    execute format(
        'alter function platform.maintenance() owner to %1$s; alter function platform.maintenance_steps() owner to %1$s',
        (select relowner::regrole from pg_catalog.pg_class where oid = 'cutover.timeline'::regclass)
    );
end $$;

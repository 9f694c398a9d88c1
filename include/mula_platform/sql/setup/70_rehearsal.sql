-- A rehearsal of sign-ins: for as long as a launch's task asks whether everybody would get in, keys drawn for it stand
-- in for those of the old applications. No way in for anybody else, nor for longer:
-- * the engine's role begins one by a function, of the launch that stands and no other; it cannot read or write the
--   table;
-- * it is open while the session that began it holds a lock, so not a moment after its task was killed, and twelve
--   hours at most; there is one at a time;
-- * the platform's role reads the keys of an open one, and nobody those of one that is over;
-- * unlogged: keys are in no archive of the server's log and on no replica, and a crash removes them.
create unlogged table if not exists platform.rehearsal (
    only_one boolean primary key default true check (only_one),
    rehearsal_id uuid not null default gen_random_uuid(),
    -- the launch that is rehearsed, as the engine calls it
    run text not null,
    -- application → the key of its tokens in this rehearsal
    keys jsonb not null,
    -- the session that holds it open
    pid integer not null default pg_backend_pid(),
    opened_at timestamptz not null default clock_timestamp(),
    ends_at timestamptz not null check (ends_at <= opened_at + interval '12 hours')
);

-- The rehearsal that is open at this moment. The lock's numbers are MULA in ASCII, and 1.
create or replace view platform.open_rehearsal as
select
    r.rehearsal_id,
    r.run,
    r.keys,
    r.ends_at
from platform.rehearsal as r
where
    r.ends_at > clock_timestamp()
    and exists (
        select
        from pg_catalog.pg_locks as l
        where
            l.locktype = 'advisory'
            and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
            and (l.classid, l.objid, l.objsubid) = (1297435713, 1, 2)
            and l.pid = r.pid
            and l.granted
    );

-- Why sign-ins of a launch cannot be rehearsed now; null if they can.
create or replace function platform.why_no_rehearsal(of_run text)
returns text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select case
        when newest.run is distinct from of_run or newest.action <> 'swap'
            then format('the launch that stands is not that of run %s', of_run)
        when (select l.entry from platform.launch as l) >= newest.entry then null
        else 'the platform has not been set up for this launch: ./run platform setup'
    end
    from (select) as always
    left join lateral (
        select l.run, l.action, l.entry
        from cutover.ledger as l
        where l.migration = 'mula_unification'
        order by l.entry desc
        limit 1
    ) as newest on true
$$;

-- Opens a rehearsal for as long as this session lasts; returns an application's key a row.
create or replace function platform.begin_rehearsal(of_run text, lasts interval)
returns table (application text, token_key text)
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    why constant text := platform.why_no_rehearsal(of_run);
begin
    if why is not null then
        raise exception '%', why using errcode = 'object_not_in_prerequisite_state';
    end if;
    if not pg_try_advisory_lock(1297435713, 1) then
        raise exception 'another rehearsal is under way' using errcode = 'lock_not_available';
    end if;
    delete from platform.session where rehearsal is not null;
    delete from platform.rehearsal;
    return query
    with opened as (
        insert into platform.rehearsal (run, keys, ends_at)
        values (
            of_run,
            jsonb_build_object(
                -- 244 random bits each
                'dasha', gen_random_uuid()::text || gen_random_uuid()::text,
                'compatibility', gen_random_uuid()::text || gen_random_uuid()::text
            ),
            clock_timestamp() + lasts
        )
        returning keys
    )
    select k.key, k.value from opened cross join lateral jsonb_each_text(opened.keys) as k (key, value);
end $$;

-- Ends the rehearsal of a launch: its keys and its sessions are gone. Returns how many sessions there were.
create or replace function platform.end_rehearsal(of_run text)
returns bigint
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    sessions bigint;
begin
    delete from platform.session as s
    using platform.rehearsal as r
    where s.rehearsal = r.rehearsal_id and r.run = of_run;
    get diagnostics sessions = row_count;
    delete from platform.rehearsal where run = of_run;
    return sessions;
end $$;

revoke all on platform.rehearsal, platform.open_rehearsal from public;
revoke all on function platform.why_no_rehearsal(text) from public;
revoke all on function platform.begin_rehearsal(text, interval) from public;
revoke all on function platform.end_rehearsal(text) from public;
grant select on platform.open_rehearsal to mula_platform;
do $$
begin
    execute format(
        'grant usage on schema platform to %1$s;'
        'grant execute on function platform.why_no_rehearsal(text), platform.begin_rehearsal(text, interval),'
        'platform.end_rehearsal(text) to %1$s',
        (select relowner::regrole from pg_catalog.pg_class where oid = 'cutover.ledger'::regclass)
    );
end $$;

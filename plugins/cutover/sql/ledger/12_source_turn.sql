-- Which session brings a source up to date. A sync commits after every page, so that its turn is not a row lock but
-- a note of the session that has it; when that session is gone, the turn is free.
create table if not exists cutover.sync_turn (
    source text primary key,
    pid integer,
    backend_start timestamptz
);

-- The turn for as long as this transaction. False: another session has it.
create or replace function cutover.hold_source(source text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '500ms' as $$
begin
    insert into cutover.sync_turn as t (source) values (hold_source.source)
    on conflict on constraint sync_turn_pkey do update set source = excluded.source;
    return true;
exception when lock_not_available then
    return false;
end
$$;

-- The turn until release_source, or until this session ends. False: another session has it.
create or replace function cutover.begin_source(source text) returns boolean
language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '500ms' as $$
declare
    taken boolean;
begin
    insert into cutover.sync_turn as t (source, pid, backend_start)
    select begin_source.source, a.pid, a.backend_start
    from pg_catalog.pg_stat_activity as a
    where a.pid = pg_catalog.pg_backend_pid()
    on conflict on constraint sync_turn_pkey do update
        set pid = excluded.pid, backend_start = excluded.backend_start
        where not exists (
            select from pg_catalog.pg_stat_activity as a
            where a.pid = t.pid and a.pid <> excluded.pid
                -- a role that may not see other sessions is not told when they began
                and coalesce(a.backend_start, t.backend_start) = t.backend_start
        )
    returning true into taken;
    return coalesce(taken, false);
exception when lock_not_available then
    return false;
end
$$;

create or replace function cutover.release_source(source text) returns boolean
language sql set search_path = pg_catalog, pg_temp as $$
    with released as (
        update cutover.sync_turn as t set pid = null, backend_start = null
        where t.source = release_source.source and t.pid = pg_catalog.pg_backend_pid()
        returning 1
    )
    select exists (select from released)
$$;

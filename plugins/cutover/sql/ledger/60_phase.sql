-- What a person is asked about is final from then on, and what each phase has done is looked up here and nowhere else:
-- a task that is marked successful has done nothing.

-- When a person was first asked about this run: from then on its evidence stays as it is.
alter table cutover.run add column if not exists asked_at timestamptz;
-- In which file of PostgreSQL's the rows of each table were at the freeze, by its oid: who rewrites them makes another.
alter table cutover.run add column if not exists filenodes jsonb;
-- A row that was erased on somebody's demand keeps its number, its source and its reason.
alter table cutover.rejects add column if not exists erased_at timestamptz;

-- Runs from before this was kept: who has been answered had asked.
update cutover.run as r
set
    asked_at = least(
        (select min(a.decided_at) from cutover.approvals as a where a.run = r.run),
        (select l.started_at from cutover.ledger as l where l.run = r.run)
    )
where
    r.asked_at is null
    and (
        exists (select from cutover.approvals as a where a.run = r.run)
        or exists (select from cutover.ledger as l where l.run = r.run)
    );

-- What a step of a run has done, written in the transaction of its effect. Append-only. A record counts as long as it
-- is its step's newest and was made from the newest records of the steps before it: `cutover.phase` knows which.
create table if not exists cutover.phase (
    record_id bigint generated always as identity primary key,
    run text not null references cutover.run (run),
    step text not null,
    -- false: it was done, and what it looked at does not hold
    holds boolean not null default true,
    made_from bigint[] not null default '{}',
    result jsonb not null default '{}',
    task_id text,
    try_number integer,
    recorded_at timestamptz not null default clock_timestamp(),
    xid xid8 not null default pg_current_xact_id()
);
create index if not exists phase_of_run on cutover.phase (run, step, record_id);

-- The run that the schemas `input` and `staging` belong to: at most one row. Whoever works in them holds the table in
-- mode ROW SHARE, whoever takes them over in mode EXCLUSIVE.
create table if not exists cutover.workspace (
    workspace text primary key default 'staging' check (workspace = 'staging'),
    run text not null references cutover.run (run),
    claimed_at timestamptz not null default clock_timestamp()
);

-- Fails when a person has been asked about a run. The lock makes the question wait for whoever is writing evidence at
-- this moment, and whoever begins after it finds it asked.
create or replace function cutover.require_not_asked(of_run text, what text) returns void
language plpgsql security definer set search_path = '' as $$
declare
    asked timestamptz;
begin
    select r.asked_at into asked from cutover.run as r where r.run = of_run for no key update;
    if asked is not null then
        raise exception 'the % of run % cannot change any more: a person was asked about it at %', what, of_run, asked
            using errcode = 'CU001';
    end if;
end $$;
revoke all on function cutover.require_not_asked(text, text) from public;

create or replace function cutover.keep_phase() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if tg_op <> 'INSERT' then
        raise exception 'records of phases are append-only' using errcode = 'insufficient_privilege';
    end if;
    if
        new.step in (
            'question', 'wait', 'swap', 'rollback', 'drop', 'erase', 'restore', 'send', 'verify', 'sign_ins',
            'sign_ins_answer'
        )
    then
        perform from cutover.run as r where r.run = new.run for no key update;
    else
        perform cutover.require_not_asked(new.run, new.step);
    end if;
    if exists (
        select from unnest(new.made_from) as m (record_id)
        where not exists (select from cutover.phase as p where p.record_id = m.record_id and p.run = new.run)
    ) then
        raise exception 'a record of run % cannot be made from records of others', new.run
            using errcode = 'insufficient_privilege';
    end if;
    -- numbered while the run is locked: the newest by number is the last that was committed
    new.record_id := nextval(pg_get_serial_sequence('cutover.phase', 'record_id'));
    return new;
end $$;
revoke all on function cutover.keep_phase() from public;
create or replace trigger keep_phase before insert or update or delete on cutover.phase
for each row execute function cutover.keep_phase();

-- A run keeps who it is; once a person has been asked, everything but the time at which it ended.
create or replace function cutover.keep_run() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if tg_op = 'DELETE' then
        if old.asked_at is not null then
            perform cutover.require_not_asked(old.run, 'row');
        end if;
        return old;
    end if;
    if (new.run, new.migration, new.dag_id, new.dag_run_id, new.triggered_by, new.started_at)
        is distinct from (old.run, old.migration, old.dag_id, old.dag_run_id, old.triggered_by, old.started_at)
    then
        raise exception 'run % keeps its name, its DAG run and who triggered it', old.run
            using errcode = 'insufficient_privilege';
    end if;
    if old.asked_at is not null and to_jsonb(new) - 'finished_at' is distinct from to_jsonb(old) - 'finished_at' then
        raise exception 'run % cannot change any more: a person was asked about it at %', old.run, old.asked_at
            using errcode = 'CU001';
    end if;
    return new;
end $$;
revoke all on function cutover.keep_run() from public;
create or replace trigger keep_run before update or delete on cutover.run
for each row execute function cutover.keep_run();

-- Rows that belong to the evidence of a run. A rejected row may be erased all the same: its content, and no more.
create or replace function cutover.keep_evidence() returns trigger
language plpgsql security definer set search_path = '' as $$
declare
    content constant text[] := '{source_id,source_row,source_bytes,detail,erased_at}';
begin
    if tg_op <> 'INSERT' then
        if tg_op = 'UPDATE' and tg_table_name = 'rejects' then
            if new.erased_at is not null
                and to_jsonb(new) @> '{"source_row": null, "source_bytes": null, "detail": null}'
                and coalesce(new.source_id, old.source_id) is not distinct from old.source_id
                and to_jsonb(new) - content = to_jsonb(old) - content
            then
                return new;
            end if;
        end if;
        if old.run is not null then
            perform cutover.require_not_asked(old.run, tg_table_name);
        end if;
    end if;
    if tg_op <> 'DELETE' then
        if new.run is not null then
            perform cutover.require_not_asked(new.run, tg_table_name);
        end if;
        return new;
    end if;
    return old;
end $$;
revoke all on function cutover.keep_evidence() from public;
create or replace trigger keep_evidence before insert or update or delete on cutover.reconciliation
for each row execute function cutover.keep_evidence();
create or replace trigger keep_evidence before insert or update or delete on cutover.reading
for each row execute function cutover.keep_evidence();
create or replace trigger keep_evidence before insert or update or delete on cutover.rejects
for each row execute function cutover.keep_evidence();
-- what was written to the sources until the review; the look after the swap comes later
create or replace trigger keep_evidence_insert before insert on cutover.late_write
for each row when (new.moment = 'review') execute function cutover.keep_evidence();
create or replace trigger keep_evidence_update before update on cutover.late_write
for each row when (old.moment = 'review' or new.moment = 'review') execute function cutover.keep_evidence();
create or replace trigger keep_evidence_delete before delete on cutover.late_write
for each row when (old.moment = 'review') execute function cutover.keep_evidence();

-- An answer stays as it was given; it is used up, or made void, once.
create or replace function cutover.keep_approval() returns trigger
language plpgsql set search_path = '' as $$
begin
    if tg_op = 'UPDATE' then
        if old.consumed_at is null
            and to_jsonb(new) - '{consumed_at,consumed_by}'::text[]
            = to_jsonb(old) - '{consumed_at,consumed_by}'::text[]
        then
            return new;
        end if;
    end if;
    raise exception 'an answer stays as it was given' using errcode = 'insufficient_privilege';
end $$;
create or replace trigger keep_approval before update or delete on cutover.approvals
for each row execute function cutover.keep_approval();

create or replace function cutover.refuse_truncate() returns trigger
language plpgsql set search_path = '' as $$
begin
    raise exception 'evidence is not truncated' using errcode = 'insufficient_privilege';
end $$;
create or replace trigger refuse_truncate before truncate on cutover.run
for each statement execute function cutover.refuse_truncate();
create or replace trigger refuse_truncate before truncate on cutover.phase
for each statement execute function cutover.refuse_truncate();
create or replace trigger refuse_truncate before truncate on cutover.reconciliation
for each statement execute function cutover.refuse_truncate();
create or replace trigger refuse_truncate before truncate on cutover.reading
for each statement execute function cutover.refuse_truncate();
create or replace trigger refuse_truncate before truncate on cutover.rejects
for each statement execute function cutover.refuse_truncate();
create or replace trigger refuse_truncate before truncate on cutover.late_write
for each statement execute function cutover.refuse_truncate();
create or replace trigger refuse_truncate before truncate on cutover.approvals
for each statement execute function cutover.refuse_truncate();

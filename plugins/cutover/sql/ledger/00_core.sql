-- The engine's own tables. Every statement can be run again; nothing here is ever dropped by the engine.
create schema if not exists cutover;
revoke all on schema cutover from public;

-- One row per run of a migration: what it froze, what it staged, what the approver was shown.
create table if not exists cutover.run (
    run text primary key,
    migration text not null,
    dag_id text not null,
    dag_run_id text not null,
    triggered_by text,
    parameters jsonb not null default '{}',
    started_at timestamptz not null default clock_timestamp(),
    frozen_at timestamptz,
    -- Production writes that this snapshot sees are in `input`; the others are carried at the swap.
    snapshot pg_snapshot,
    staged_at timestamptz,
    -- A session whose snapshot is older than this transaction would see empty tables after the swap.
    staged_xid xid8,
    fingerprint text,
    validation jsonb,
    review jsonb,
    finished_at timestamptz,
    unique (dag_id, dag_run_id)
);
-- What the fingerprint is made of: each item with its digest, and what proves later that a table is as it was.
alter table cutover.run add column if not exists coverage jsonb;

-- One row per swap or rollback, written in the same transaction as its effect: if the row is here, it happened.
create table if not exists cutover.ledger (
    entry bigint generated always as identity primary key,
    run text not null unique,
    migration text not null,
    action text not null check (action in ('swap', 'rollback')),
    -- a rollback names the entry that it takes back; so does a rollback of a rollback
    undoes text references cutover.ledger (run),
    backup_schema text not null,
    fingerprint text not null,
    approval_id bigint,
    approved_by text,
    -- Production writes not visible in this snapshot were made after the action; its own are told by its xid.
    snapshot pg_snapshot not null,
    xid xid8 not null,
    started_at timestamptz not null,
    locked_at timestamptz not null,
    recorded_at timestamptz not null default clock_timestamp(),
    attempts integer not null,
    tables jsonb not null,
    carried jsonb not null,
    report jsonb not null default '{}',
    previous_hash text,
    hash text
);

-- What became of every row of every source: read = staged + merged + left_out + rejected, or the run stops.
create table if not exists cutover.reconciliation (
    run text not null,
    source text not null,
    read bigint not null,
    staged bigint not null,
    merged bigint not null,
    left_out bigint not null,
    rejected bigint not null,
    -- {"left_out": {"status EXPIRED": 2818}, "rejected": {"invalid_email": 3}, "merged": {...}}
    reasons jsonb not null default '{}',
    recorded_at timestamptz not null default clock_timestamp(),
    primary key (run, source)
);

-- A source row that could not be used, whole, and why.
create table if not exists cutover.rejects (
    reject_id bigint generated always as identity primary key,
    run text,
    sync_id bigint,
    source text not null,
    source_id text,
    reason text not null,
    detail text,
    source_row jsonb,
    -- the bytes as received, where they are not JSON that PostgreSQL can hold
    source_bytes bytea,
    rejected_at timestamptz not null default clock_timestamp()
);
create index if not exists rejects_run on cutover.rejects (run, source);

-- A production write that could not be carried into the new tables, whole, with the reason as SQLSTATE.
create table if not exists cutover.quarantine (
    quarantine_id bigint generated always as identity primary key,
    run text not null,
    change_id bigint not null,
    schema_name text not null,
    table_name text not null,
    operation text not null,
    key jsonb,
    old_row jsonb,
    new_row jsonb,
    sqlstate text not null,
    reason text not null,
    quarantined_at timestamptz not null default clock_timestamp(),
    unique (run, change_id)
);

-- Who approved what. The swap takes an unused row whose fingerprint it has computed again, and marks it used.
create table if not exists cutover.approvals (
    approval_id bigint generated always as identity primary key,
    run text not null,
    action text not null check (action in ('swap', 'rollback', 'drop_backups')),
    decision text not null check (decision in ('approve', 'reject', 'changes')),
    fingerprint text not null,
    task_id text not null,
    try_number integer not null,
    approved_by text not null,
    approved_by_id text,
    triggered_by text,
    comment text,
    decided_at timestamptz not null,
    expires_at timestamptz not null,
    recorded_at timestamptz not null default clock_timestamp(),
    consumed_at timestamptz,
    consumed_by text
);
-- Where several have to answer (docs/review.md): for whom else somebody has, its number among the answers of the run,
-- what all of them come to with it, and whether nothing is missing any more. Null where one answer is enough.
alter table cutover.approvals add column if not exists answers_for text;
alter table cutover.approvals add column if not exists answer_no integer;
alter table cutover.approvals add column if not exists comes_to text;
alter table cutover.approvals add column if not exists completes boolean;
alter table cutover.approvals drop constraint if exists approvals_decision_check;
alter table cutover.approvals add constraint approvals_decision_check
check (decision in ('approve', 'reject', 'changes'));
drop index if exists cutover.approvals_one_per_try;
create unique index if not exists approvals_one_per_answer
on cutover.approvals (run, action, task_id, try_number, coalesce(answer_no, 1));

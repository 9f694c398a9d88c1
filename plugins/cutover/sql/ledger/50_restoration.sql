-- Rows of some people as they were before a launch: what was asked, who approved it, what was done.
create table if not exists cutover.restoration (
    restoration_id bigint generated always as identity primary key,
    migration text not null,
    -- who is meant, in clear and a line each, until it is done
    subject text,
    digests text[] not null,
    requested_by text not null,
    requested_at timestamptz not null default clock_timestamp(),
    -- the run that did it; null where it was done at the command line
    run text,
    -- the entry of the ledger whose backup the rows are from
    source text,
    backup_schema text,
    fingerprint text,
    approved_by text,
    -- {"public.users": {"change": 1, …}, …}
    counts jsonb,
    -- what was compared after it, in the same transaction
    certificate jsonb,
    restored_at timestamptz
);

-- The rows that it changed or took away, as they were before it, and which ones came.
create table if not exists cutover.restored_row (
    restored_row_id bigint generated always as identity primary key,
    restoration_id bigint not null references cutover.restoration (restoration_id),
    schema_name text not null,
    table_name text not null,
    key text[] not null,
    operation text not null check (operation in ('change', 'come', 'go')),
    -- column → the text that its own type writes and reads again
    row_before jsonb,
    -- whether somebody had written it since the launch
    written_since boolean not null
);
create index if not exists restored_row_restoration on cutover.restored_row (restoration_id);

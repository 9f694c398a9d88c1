-- Who was told that an approval waits, by which way, and what went wrong where it did.
create table if not exists cutover.notice (
    notice_id bigint generated always as identity primary key,
    run text not null,
    action text not null,
    channel text not null check (channel in ('email', 'webhook')),
    recipient text not null,
    -- null: it went out
    error text,
    noticed_at timestamptz not null default clock_timestamp()
);
create index if not exists notice_run on cutover.notice (run);

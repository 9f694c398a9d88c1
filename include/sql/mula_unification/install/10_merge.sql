-- The merge ledger: for each person made of several accounts which accounts they are, by which rule, and for each
-- field which account's value won. Personal data: like all of this schema for nobody but the engine's role.
create table if not exists cutover.merge (
    run text not null,
    user_id uuid not null,
    rule text not null,
    -- [{source, legacy_user_id, email, username, ...}], the account logged into last first
    accounts jsonb not null,
    -- {field: {value, source, legacy_user_id}}
    fields jsonb not null,
    recorded_at timestamptz not null default clock_timestamp(),
    -- [account, ...] that somebody has taken out again, and when the last one
    undone jsonb,
    undone_at timestamptz,
    primary key (run, user_id)
);
create index if not exists merge_by_user on cutover.merge (user_id);

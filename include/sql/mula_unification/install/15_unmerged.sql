-- Accounts that somebody has taken out of a person, and who each is now. A launch goes by legacy_identities of the
-- unified database; after a rollback of the first launch there is none, and what people have found out must not be
-- found out again.
create table if not exists cutover.unmerged (
    source text not null,
    legacy_user_id text not null,
    user_id uuid not null,
    email_key text not null,
    unmerged_at timestamptz not null default clock_timestamp(),
    primary key (source, legacy_user_id)
);

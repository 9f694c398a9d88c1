-- Every account of both sources, duplicates included: what hangs on the second account of a person is found by it.
insert into staging.legacy_identities (
    id, source, legacy_user_id, user_id, email, username, created_at, proved_at, proved_by
)
select
    identity_id as id,
    source,
    legacy_id as legacy_user_id,
    user_id,
    email,
    username,
    created_at,
    proved_at,
    proved_by
from input.account
where fate = 'staged'
union all
-- accounts that their source has no more keep their person
select
    live.id,
    live.source,
    live.legacy_user_id,
    live.user_id,
    live.email,
    live.username,
    live.created_at,
    live.proved_at,
    live.proved_by
from input.live_legacy_identities as live
where
    not exists (
        select
        from input.account as account
        where
            account.fate = 'staged'
            and account.source = live.source
            and account.legacy_id = live.legacy_user_id
    )

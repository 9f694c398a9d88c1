-- Every account of both sources has its person, or is among the rejects, or was deleted in the unified database.
select
    account.source,
    account.legacy_id,
    account.fate
from input.account as account
left join staging.legacy_identities as identity
    on account.source = identity.source and account.legacy_id = identity.legacy_user_id
left join staging.users as person on identity.user_id = person.id
where (account.fate = 'staged') <> (person.id is not null)
union all
-- what an earlier launch mapped stays mapped to the same person
select
    live.source,
    live.legacy_user_id as legacy_id,
    'moved to another person' as fate
from input.live_legacy_identities as live
left join staging.legacy_identities as identity
    on live.source = identity.source and live.legacy_user_id = identity.legacy_user_id
where identity.user_id is distinct from live.user_id

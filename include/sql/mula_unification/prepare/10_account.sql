-- Every account of both sources, and the person (`user_id`) it belongs to. In this order: the person that an earlier
-- launch, or somebody's correction since, has mapped the account to; the person in the unified database with the same
-- e-mail key; who it was taken out of a person as, in a launch that was rolled back since; the id derived from the key,
-- which is the same for both sources.
-- Whether the account is proved to be that person's: the sources never asked for a confirmation of an address, so it is
-- by a provider that vouches for the address, or by what the unified application has found out since. A provider
-- vouches for the address as spelled: where Unicode alone makes one key of several (the Kelvin sign is a k to us, not
-- to every mail server), it says nothing about those that are spelled otherwise than the key.
drop table if exists input.account;

create table input.account as
with
source_account as (
    select
        'dasha' as source,
        id::text as legacy_id,
        email,
        username,
        oauth_provider,
        oauth_id,
        -- the Dasha Timer stores UTC without saying so
        created_at at time zone 'UTC' as created_at,
        last_login at time zone 'UTC' as last_login,
        api_synced_at as read_at
    from input.dasha_users
    union all
    select
        'compatibility' as source,
        id::text as legacy_id,
        email,
        username,
        oauth_provider,
        oauth_id,
        created_at,
        last_login,
        api_synced_at as read_at
    from input.compatibility_users
),

account as (
    select
        origin.source,
        origin.legacy_id,
        origin.email,
        -- the address of one that was taken out is the one that was given then: the other is somebody else's
        coalesce(unmerged.email_key, cutover.email_key(origin.email)) as email_key,
        nullif(btrim(origin.username), '') as username,
        -- half a sign-in signs nobody in
        case when btrim(origin.oauth_id) <> '' then nullif(btrim(origin.oauth_provider), '') end as oauth_provider,
        case when btrim(origin.oauth_provider) <> '' then nullif(btrim(origin.oauth_id), '') end as oauth_id,
        -- it was there when it was logged into, at the latest
        coalesce(least(origin.created_at, origin.last_login), origin.read_at) as created_at,
        origin.last_login,
        origin.read_at,
        md5('mula_unification/legacy_identities/' || origin.source || '/' || origin.legacy_id)::uuid as identity_id
    from source_account as origin
    left join input.unmerged as unmerged
        on origin.source = unmerged.source and origin.legacy_id = unmerged.legacy_user_id
),

apart as (
    select distinct on (email_key)
        email_key,
        user_id
    from input.unmerged
    order by email_key asc, user_id asc
),

-- the unified database is unique by e-mail, but need not spell it as its key
live_by_key as (
    select distinct on (cutover.email_key(email))
        cutover.email_key(email) as email_key,
        id
    from input.live_users
    where cutover.email_key(email) is not null
    order by cutover.email_key(email) asc, created_at asc nulls last, id asc
),

-- with the letters of ASCII in lower case, and all others as they are
spelled as (
    select
        account.*,
        lower(btrim(account.email) collate "C") as spelling
    from account
),

compared as (
    select
        spelled.*,
        spelled.spelling = spelled.email_key
        or min(spelled.spelling) over one_key = max(spelled.spelling) over one_key as is_spelled_alike
    from spelled
    window one_key as (partition by spelled.email_key)
),

judged as (
    select
        account.*,
        coalesce(
            mapped.proved_by,
            case
                when
                    lower(account.oauth_provider) in ('google', 'apple')
                    and account.oauth_id is not null
                    and account.is_spelled_alike
                    then 'oauth: ' || lower(account.oauth_provider)
            end
        ) as proved_by,
        mapped.proved_at as found_out_at,
        mapped.user_id is not null as is_mapped,
        coalesce(mapped.user_id, live.id, apart.user_id, identity.id) as user_id,
        case
            when mapped.user_id is not null then null
            when deleted.id is not null then 'deleted in the unified database'
        end as left_out_reason,
        case
            when mapped.user_id is not null or deleted.id is not null then null
            when account.email_key is null then 'invalid_email'
        end as rejected_reason
    from compared as account
    left join input.live_legacy_identities as mapped
        on account.source = mapped.source and account.legacy_id = mapped.legacy_user_id
    left join live_by_key as live on account.email_key = live.email_key
    left join apart on account.email_key = apart.email_key
    left join input.identity as identity on account.email_key = identity.email_key
    left join input.live_changed as deleted
        on account.identity_id = deleted.id and deleted.table_name = 'legacy_identities' and deleted.is_deleted
)

select
    source,
    legacy_id,
    identity_id,
    email,
    email_key,
    username,
    oauth_provider,
    oauth_id,
    created_at,
    last_login,
    read_at,
    case when proved_by is not null then coalesce(found_out_at, last_login, created_at, read_at) end as proved_at,
    proved_by,
    is_mapped,
    case when left_out_reason is null and rejected_reason is null then user_id end as user_id,
    case
        when rejected_reason is not null then 'rejected'
        when left_out_reason is not null then 'left_out'
        else 'staged'
    end as fate,
    coalesce(rejected_reason, left_out_reason) as reason
from judged;

alter table input.account add primary key (source, legacy_id);
create index on input.account (user_id);
analyze input.account;

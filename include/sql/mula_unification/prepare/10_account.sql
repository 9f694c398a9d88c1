-- Every account of both sources, and the person (`user_id`) it belongs to. In this order: the person that an earlier
-- launch, or somebody's correction since, has mapped the account to; the person in the unified database with the same
-- e-mail key; the id derived from the key, which is the same for both sources.
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
        source,
        legacy_id,
        email,
        cutover.email_key(email) as email_key,
        nullif(btrim(username), '') as username,
        nullif(btrim(oauth_provider), '') as oauth_provider,
        nullif(btrim(oauth_id), '') as oauth_id,
        created_at,
        last_login,
        read_at,
        md5('mula_unification/legacy_identities/' || source || '/' || legacy_id)::uuid as identity_id
    from source_account
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

judged as (
    select
        account.*,
        mapped.user_id is not null as is_mapped,
        coalesce(mapped.user_id, live.id, identity.id) as user_id,
        case
            when mapped.user_id is not null then null
            when deleted.id is not null then 'deleted in the unified database'
        end as left_out_reason,
        case
            when mapped.user_id is not null or deleted.id is not null then null
            when account.email_key is null then 'invalid_email'
        end as rejected_reason
    from account
    left join input.live_legacy_identities as mapped
        on account.source = mapped.source and account.legacy_id = mapped.legacy_user_id
    left join live_by_key as live on account.email_key = live.email_key
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

-- Every push token of both sources, and what becomes of it: united per person and token. A device has one owner at a
-- time: under two people the token belongs to the one who registered it last, or somebody else's phone would ring.
drop table if exists input.token;

create table input.token as
with
source_token as (
    select
        'dasha' as source,
        id::text as id,
        user_id::text as user_id,
        token,
        device_name,
        created_at,
        is_active,
        api_synced_at
    from input.dasha_fcm_tokens
    union all
    select
        'compatibility' as source,
        id::text as id,
        user_id::text as user_id,
        token,
        device_name,
        created_at,
        is_active,
        api_synced_at
    from input.compatibility_fcm_tokens
),

joined as (
    select
        md5('mula_unification/fcm_tokens/' || token.source || '/' || token.id)::uuid as id,
        token.source,
        token.id::text as legacy_id,
        account.user_id,
        nullif(btrim(token.token), '') as token,
        token.device_name,
        coalesce(token.created_at, token.api_synced_at) as created_at,
        coalesce(token.is_active, true) as is_active,
        case
            when account.source is null then 'orphan_user'
            when account.fate = 'rejected' then 'user_rejected'
            when nullif(btrim(token.token), '') is null then 'no_token'
        end as rejected_reason,
        account.fate = 'left_out' as is_account_deleted,
        change.is_deleted,
        not change.is_deleted as is_changed
    from source_token as token
    left join input.account as account on token.source = account.source and token.user_id::text = account.legacy_id
    left join input.live_changed as change
        on
            md5('mula_unification/fcm_tokens/' || token.source || '/' || token.id)::uuid = change.id
            and change.table_name = 'fcm_tokens'
),

-- what a person has deleted in the unified database stays deleted: the other application's row of the same token, too
known as (
    select
        joined.*,
        case
            when joined.is_account_deleted then 'its account was deleted in the unified database'
            when
                live.id is null
                and bool_or(joined.is_deleted) over (partition by joined.user_id, joined.token)
                then 'deleted in the unified database'
        end as left_out_reason
    from joined
    left join input.live_fcm_tokens as live on joined.user_id = live.user_id and joined.token = live.token
),

ranked as (
    select
        known.*,
        first_value(known.user_id) over owners as owner_id,
        row_number() over (
            partition by
                known.user_id, known.token, known.rejected_reason is null and known.left_out_reason is null
            order by known.created_at desc, known.id asc
        ) as place,
        min(known.created_at) over together as first_created_at,
        bool_or(known.is_active) over together as is_active_anywhere
    from known
    window
        owners as (
            partition by known.token, known.rejected_reason is null and known.left_out_reason is null
            order by known.created_at desc, known.id asc
        ),
        together as (
            partition by
                known.user_id, known.token, known.rejected_reason is null and known.left_out_reason is null
        )
),

-- in the unified database a token has one owner, too: whoever registered it there last
live as (
    select distinct on (token)
        token,
        user_id,
        id
    from input.live_fcm_tokens
    order by token asc, created_at desc nulls last, id asc
),

judged as (
    select
        ranked.*,
        live.id as live_id,
        coalesce(live.user_id, ranked.owner_id) <> ranked.user_id as is_taken
    from ranked
    left join live on ranked.token = live.token
)

select
    id,
    source,
    legacy_id,
    user_id,
    token,
    device_name,
    first_created_at as created_at,
    is_active_anywhere as is_active,
    case
        when rejected_reason is not null then 'rejected'
        when left_out_reason is not null then 'left_out'
        when is_taken then 'rejected'
        when place > 1 or is_changed or live_id <> id then 'merged'
        else 'staged'
    end as fate,
    case
        when rejected_reason is not null then rejected_reason
        when left_out_reason is not null then left_out_reason
        when is_taken then 'token_taken'
        when place > 1 then 'the same token of the same person'
        when is_changed then 'changed in the unified database'
        when live_id <> id then 'registered in the unified database'
    end as reason
from judged;

alter table input.token add primary key (source, legacy_id);
create index on input.token (id);
analyze input.token;

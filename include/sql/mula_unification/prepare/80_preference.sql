-- Every row of preferences of both sources and of the unified database, by person, the most recently updated first
-- (`place`). Business rules: that one wins; what it does not say comes from the next.
drop table if exists input.preference;

create table input.preference as
with
source_preference as (
    select
        'dasha' as source,
        id::text as legacy_id,
        user_id::text as legacy_user_id,
        notifications_enabled,
        daily_dasha_reminder,
        email_enabled,
        marketing_emails,
        daily_reminder_time,
        timezone,
        data,
        coalesce(updated_at, api_synced_at) as updated_at
    from input.dasha_user_preferences
    union all
    select
        'compatibility' as source,
        id::text as legacy_id,
        user_id::text as legacy_user_id,
        notifications_enabled,
        null as daily_dasha_reminder,
        email_enabled,
        marketing_emails,
        null as daily_reminder_time,
        timezone,
        data,
        coalesce(updated_at, api_synced_at) as updated_at
    from input.compatibility_user_preferences
),

judged as (
    select
        md5('mula_unification/user_preferences/' || preference.source || '/' || preference.legacy_id)::uuid as id,
        preference.*,
        account.user_id,
        case
            when account.source is null then 'orphan_user'
            when account.fate = 'rejected' then 'user_rejected'
        end as rejected_reason,
        case
            when account.fate = 'left_out' then 'its account was deleted in the unified database'
            -- those of both applications were one row there
            when
                live.id is null
                and bool_or(change.is_deleted) over (partition by account.user_id)
                then 'deleted in the unified database'
        end as left_out_reason
    from source_preference as preference
    left join input.account as account
        on preference.source = account.source and preference.legacy_user_id = account.legacy_id
    left join input.live_user_preferences as live on account.user_id = live.user_id
    left join input.live_changed as change
        on
            md5('mula_unification/user_preferences/' || preference.source || '/' || preference.legacy_id)::uuid
            = change.id
            and change.table_name = 'user_preferences'
),

together as (
    select
        id,
        source,
        legacy_id,
        user_id,
        notifications_enabled,
        daily_dasha_reminder,
        email_enabled,
        marketing_emails,
        daily_reminder_time,
        timezone,
        data,
        updated_at,
        rejected_reason,
        left_out_reason
    from judged
    union all
    select
        id,
        'unified' as source,
        id::text as legacy_id,
        user_id,
        notifications_enabled,
        daily_dasha_reminder,
        email_enabled,
        marketing_emails,
        daily_reminder_time,
        timezone,
        data,
        updated_at,
        null as rejected_reason,
        null as left_out_reason
    from input.live_user_preferences
),

ranked as (
    select
        together.*,
        row_number() over (
            partition by user_id, rejected_reason is null and left_out_reason is null
            order by updated_at desc nulls last, (source = 'unified') desc, source collate "C" asc, id asc
        ) as place,
        row_number() over (
            partition by user_id, rejected_reason is null and left_out_reason is null, source = 'unified'
            order by updated_at desc nulls last, source collate "C" asc, id asc
        ) as place_in_sources
    from together
)

select
    id,
    source,
    legacy_id,
    user_id,
    notifications_enabled,
    daily_dasha_reminder,
    email_enabled,
    marketing_emails,
    daily_reminder_time,
    timezone,
    -- a list or a bare value has no keys that could be united: it is left out and listed, and what the person has
    -- switched off stays off
    case when jsonb_typeof(data) = 'object' then data else '{}' end as data,
    jsonb_typeof(data) not in ('object', 'null') as is_data_left_out,
    updated_at,
    place,
    case
        when rejected_reason is not null then 'rejected'
        when left_out_reason is not null then 'left_out'
        when source <> 'unified' and place_in_sources > 1 then 'merged'
        else 'staged'
    end as fate,
    coalesce(
        rejected_reason,
        left_out_reason,
        case when source <> 'unified' and place_in_sources > 1 then 'preferences of the same person' end
    ) as reason
from ranked;

alter table input.preference add primary key (source, legacy_id);
create index on input.preference (user_id, place);
analyze input.preference;

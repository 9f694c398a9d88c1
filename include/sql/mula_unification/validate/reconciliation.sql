-- What became of every row of both sources, and in a repeat of every row of the unified database. `read` counts the
-- source, the other four count what is really there (staged rows, rejects, rules applied to the source), so that the
-- balance is a proof and not a definition.
with
person_account as (
    select
        account.source,
        row_number() over (
            partition by account.user_id
            order by member.place asc
        ) as place
    from input.account as account
    inner join input.member as member on account.source = member.source and account.legacy_id = member.legacy_id
    inner join staging.legacy_identities as identity
        on account.source = identity.source and account.legacy_id = identity.legacy_user_id
    inner join staging.users as person on identity.user_id = person.id
    where account.fate = 'staged'
),

fate as (
    -- of the accounts of one person one is staged, as that person; the others are merged into it
    select
        'dasha_users' as source,
        case when place = 1 then 'staged' else 'merged' end as fate,
        case when place = 1 then 'person' else 'account of the same person' end as reason,
        count(*) as counted
    from person_account
    where source = 'dasha'
    group by 2, 3
    union all
    select
        'dasha_users' as source,
        fate,
        reason,
        count(*) as counted
    from input.account
    where
        source = 'dasha'
        and fate in ('merged', 'left_out')
    group by fate, reason
    union all
    select
        'compatibility_users' as source,
        case when place = 1 then 'staged' else 'merged' end as fate,
        case when place = 1 then 'person' else 'account of the same person' end as reason,
        count(*) as counted
    from person_account
    where source = 'compatibility'
    group by 2, 3
    union all
    select
        'compatibility_users' as source,
        fate,
        reason,
        count(*) as counted
    from input.account
    where
        source = 'compatibility'
        and fate in ('merged', 'left_out')
    group by fate, reason
    union all
    select
        'dasha_birth_charts' as source,
        'staged' as fate,
        'chart' as reason,
        count(*) as counted
    from staging.birth_charts as staged
    inner join input.chart as judged on staged.id = judged.id
    where
        judged.source = 'dasha'
        and judged.fate = 'staged'
    union all
    select
        'dasha_birth_charts' as source,
        fate,
        reason,
        count(*) as counted
    from input.chart
    where
        source = 'dasha'
        and fate in ('merged', 'left_out')
    group by fate, reason
    union all
    select
        'compatibility_birth_charts' as source,
        'staged' as fate,
        'chart' as reason,
        count(*) as counted
    from staging.birth_charts as staged
    inner join input.chart as judged on staged.id = judged.id
    where
        judged.source = 'compatibility'
        and judged.fate = 'staged'
    union all
    select
        'compatibility_birth_charts' as source,
        fate,
        reason,
        count(*) as counted
    from input.chart
    where
        source = 'compatibility'
        and fate in ('merged', 'left_out')
    group by fate, reason
    union all
    select
        'dasha_dasha_data' as source,
        'staged' as fate,
        'period' as reason,
        count(*) as counted
    from staging.dasha_data as staged
    inner join input.dasha as judged on staged.id = judged.id
    where
        judged.source = 'dasha'
        and judged.fate = 'staged'
    union all
    select
        'dasha_dasha_data' as source,
        fate,
        reason,
        count(*) as counted
    from input.dasha
    where
        source = 'dasha'
        and fate in ('merged', 'left_out')
    group by fate, reason
    union all
    select
        'compatibility_results' as source,
        'staged' as fate,
        'result' as reason,
        count(*) as counted
    from staging.compatibility_results as staged
    inner join input.result as judged on staged.id = judged.id
    where
        judged.source = 'compatibility'
        and judged.fate = 'staged'
    union all
    select
        'compatibility_results' as source,
        fate,
        reason,
        count(*) as counted
    from input.result
    where
        source = 'compatibility'
        and fate in ('merged', 'left_out')
    group by fate, reason
    union all
    select
        'dasha_subscriptions' as source,
        'staged' as fate,
        'subscription' as reason,
        count(*) as counted
    from staging.subscriptions as staged
    inner join input.subscription as judged on staged.id = judged.id
    where
        judged.source = 'dasha'
        and judged.fate = 'staged'
    union all
    select
        'dasha_subscriptions' as source,
        fate,
        reason,
        count(*) as counted
    from input.subscription
    where
        source = 'dasha'
        and fate in ('merged', 'left_out')
    group by fate, reason
    union all
    select
        'compatibility_subscriptions' as source,
        'staged' as fate,
        'subscription' as reason,
        count(*) as counted
    from staging.subscriptions as staged
    inner join input.subscription as judged on staged.id = judged.id
    where
        judged.source = 'compatibility'
        and judged.fate = 'staged'
    union all
    select
        'compatibility_subscriptions' as source,
        fate,
        reason,
        count(*) as counted
    from input.subscription
    where
        source = 'compatibility'
        and fate in ('merged', 'left_out')
    group by fate, reason
    union all
    select
        'dasha_fcm_tokens' as source,
        'staged' as fate,
        'token' as reason,
        count(*) as counted
    from staging.fcm_tokens as staged
    inner join input.token as judged on staged.id = judged.id
    where
        judged.source = 'dasha'
        and judged.fate = 'staged'
    union all
    select
        'dasha_fcm_tokens' as source,
        fate,
        reason,
        count(*) as counted
    from input.token
    where
        source = 'dasha'
        and fate in ('merged', 'left_out')
    group by fate, reason
    union all
    select
        'compatibility_fcm_tokens' as source,
        'staged' as fate,
        'token' as reason,
        count(*) as counted
    from staging.fcm_tokens as staged
    inner join input.token as judged on staged.id = judged.id
    where
        judged.source = 'compatibility'
        and judged.fate = 'staged'
    union all
    select
        'compatibility_fcm_tokens' as source,
        fate,
        reason,
        count(*) as counted
    from input.token
    where
        source = 'compatibility'
        and fate in ('merged', 'left_out')
    group by fate, reason
    union all
    select
        'dasha_user_preferences' as source,
        'staged' as fate,
        'preferences' as reason,
        count(*) as counted
    from input.preference as judged
    inner join staging.user_preferences as staged on judged.user_id = staged.user_id
    where
        judged.source = 'dasha'
        and judged.fate = 'staged'
    union all
    select
        'dasha_user_preferences' as source,
        fate,
        reason,
        count(*) as counted
    from input.preference
    where
        source = 'dasha'
        and fate in ('merged', 'left_out')
    group by fate, reason
    union all
    select
        'compatibility_user_preferences' as source,
        'staged' as fate,
        'preferences' as reason,
        count(*) as counted
    from input.preference as judged
    inner join staging.user_preferences as staged on judged.user_id = staged.user_id
    where
        judged.source = 'compatibility'
        and judged.fate = 'staged'
    union all
    select
        'compatibility_user_preferences' as source,
        fate,
        reason,
        count(*) as counted
    from input.preference
    where
        source = 'compatibility'
        and fate in ('merged', 'left_out')
    group by fate, reason
    union all
    select
        'unified_users' as source,
        'staged' as fate,
        'kept' as reason,
        count(*) as counted
    from input.live_users as live
    inner join staging.users as staged on live.id = staged.id
    union all
    select
        'unified_legacy_identities' as source,
        'staged' as fate,
        'kept' as reason,
        count(*) as counted
    from input.live_legacy_identities as live
    inner join staging.legacy_identities as staged on live.id = staged.id
    union all
    select
        'unified_birth_charts' as source,
        'staged' as fate,
        'kept' as reason,
        count(*) as counted
    from input.live_birth_charts as live
    inner join staging.birth_charts as staged on live.id = staged.id
    union all
    select
        'unified_dasha_data' as source,
        'staged' as fate,
        'kept' as reason,
        count(*) as counted
    from input.live_dasha_data as live
    inner join staging.dasha_data as staged on live.id = staged.id
    union all
    select
        'unified_compatibility_results' as source,
        'staged' as fate,
        'kept' as reason,
        count(*) as counted
    from input.live_compatibility_results as live
    inner join staging.compatibility_results as staged on live.id = staged.id
    union all
    select
        'unified_subscriptions' as source,
        'staged' as fate,
        'kept' as reason,
        count(*) as counted
    from input.live_subscriptions as live
    inner join staging.subscriptions as staged on live.id = staged.id
    union all
    select
        'unified_fcm_tokens' as source,
        'staged' as fate,
        'kept' as reason,
        count(*) as counted
    from input.live_fcm_tokens as live
    inner join staging.fcm_tokens as staged on live.id = staged.id
    union all
    select
        'unified_user_preferences' as source,
        'staged' as fate,
        'kept' as reason,
        count(*) as counted
    from input.live_user_preferences as live
    inner join staging.user_preferences as staged on live.id = staged.id
    union all
    select
        'unified_activity_log' as source,
        'staged' as fate,
        'kept' as reason,
        count(*) as counted
    from input.live_activity_log as live
    inner join staging.activity_log as staged on live.id = staged.id
    union all
    select
        source,
        'rejected' as fate,
        reason,
        count(*) as counted
    from cutover.rejects
    where run = %(run)s
    group by source, reason
),

summed as (
    select
        source,
        fate,
        sum(counted) as counted,
        jsonb_object_agg(reason, counted) filter (where counted > 0) as reasons
    from fate
    group by source, fate
),

balance as (
    select
        source,
        coalesce(sum(counted) filter (where fate = 'staged'), 0) as staged,
        coalesce(sum(counted) filter (where fate = 'merged'), 0) as merged,
        coalesce(sum(counted) filter (where fate = 'left_out'), 0) as left_out,
        coalesce(sum(counted) filter (where fate = 'rejected'), 0) as rejected,
        coalesce(jsonb_object_agg(fate, reasons) filter (where reasons is not null), '{}') as reasons
    from summed
    group by source
),

read as (
    select
        'dasha_users' as source,
        count(*) as counted
    from input.dasha_users
    union all
    select
        'compatibility_users' as source,
        count(*) as counted
    from input.compatibility_users
    union all
    select
        'dasha_birth_charts' as source,
        count(*) as counted
    from input.dasha_birth_charts
    union all
    select
        'compatibility_birth_charts' as source,
        count(*) as counted
    from input.compatibility_birth_charts
    union all
    select
        'dasha_dasha_data' as source,
        count(*) as counted
    from input.dasha_dasha_data
    union all
    select
        'compatibility_results' as source,
        count(*) as counted
    from input.compatibility_results
    union all
    select
        'dasha_subscriptions' as source,
        count(*) as counted
    from input.dasha_subscriptions
    union all
    select
        'compatibility_subscriptions' as source,
        count(*) as counted
    from input.compatibility_subscriptions
    union all
    select
        'dasha_fcm_tokens' as source,
        count(*) as counted
    from input.dasha_fcm_tokens
    union all
    select
        'compatibility_fcm_tokens' as source,
        count(*) as counted
    from input.compatibility_fcm_tokens
    union all
    select
        'dasha_user_preferences' as source,
        count(*) as counted
    from input.dasha_user_preferences
    union all
    select
        'compatibility_user_preferences' as source,
        count(*) as counted
    from input.compatibility_user_preferences
    union all
    select
        'unified_users' as source,
        count(*) as counted
    from input.live_users
    having count(*) > 0
    union all
    select
        'unified_legacy_identities' as source,
        count(*) as counted
    from input.live_legacy_identities
    having count(*) > 0
    union all
    select
        'unified_birth_charts' as source,
        count(*) as counted
    from input.live_birth_charts
    having count(*) > 0
    union all
    select
        'unified_dasha_data' as source,
        count(*) as counted
    from input.live_dasha_data
    having count(*) > 0
    union all
    select
        'unified_compatibility_results' as source,
        count(*) as counted
    from input.live_compatibility_results
    having count(*) > 0
    union all
    select
        'unified_subscriptions' as source,
        count(*) as counted
    from input.live_subscriptions
    having count(*) > 0
    union all
    select
        'unified_fcm_tokens' as source,
        count(*) as counted
    from input.live_fcm_tokens
    having count(*) > 0
    union all
    select
        'unified_user_preferences' as source,
        count(*) as counted
    from input.live_user_preferences
    having count(*) > 0
    union all
    select
        'unified_activity_log' as source,
        count(*) as counted
    from input.live_activity_log
    having count(*) > 0
)

insert into cutover.reconciliation (run, source, read, staged, merged, left_out, rejected, reasons)
select
    %(run)s as run,
    read.source,
    read.counted as read,
    coalesce(balance.staged, 0) as staged,
    coalesce(balance.merged, 0) as merged,
    coalesce(balance.left_out, 0) as left_out,
    coalesce(balance.rejected, 0) as rejected,
    coalesce(balance.reasons, '{}') as reasons
from read
left join balance on read.source = balance.source
on conflict (run, source) do update
    set
        read = excluded.read,
        staged = excluded.staged,
        merged = excluded.merged,
        left_out = excluded.left_out,
        rejected = excluded.rejected,
        reasons = excluded.reasons,
        recorded_at = clock_timestamp()

-- Source rows that cannot be used, whole, with the reason. A new try of the same run replaces its own rows.
with
replaced as (
    delete from cutover.rejects
    where run = %(run)s
),

explained (reason, detail) as (
    values
    ('invalid_email', 'its e-mail address is not usable'),
    ('orphan_user', 'its user does not exist in its own source'),
    ('user_rejected', 'its user was rejected'),
    ('orphan_chart', 'its chart does not exist in its own source'),
    ('chart_rejected', 'its chart was rejected'),
    ('impossible_date', 'the birth date is missing, before 1800, or after the chart was made'),
    ('share_code_taken', 'another result had this share code first'),
    ('subscription_taken', 'this Stripe subscription belongs to another person'),
    ('token_taken', 'another person registered this token later'),
    ('no_token', 'the token is missing or blank'),
    ('impossible_amount', 'its monthly amount is negative, or no number'),
    ('unknown_plan', 'its plan is neither free, basic nor premium'),
    ('impossible_score', 'its score is not between 0 and 100'),
    ('impossible_period', 'its period ends before it begins')
),

rejected as (
    select
        'dasha_users' as source,
        judged.legacy_id as source_id,
        judged.reason,
        origin.sync_id,
        to_jsonb(origin) as source_row
    from input.account as judged
    inner join input.dasha_users as origin on judged.legacy_id = origin.id::text
    where
        judged.source = 'dasha'
        and judged.fate = 'rejected'
    union all
    select
        'compatibility_users' as source,
        judged.legacy_id as source_id,
        judged.reason,
        origin.sync_id,
        to_jsonb(origin) as source_row
    from input.account as judged
    inner join input.compatibility_users as origin on judged.legacy_id = origin.id::text
    where
        judged.source = 'compatibility'
        and judged.fate = 'rejected'
    union all
    select
        'dasha_birth_charts' as source,
        judged.legacy_id as source_id,
        judged.reason,
        origin.sync_id,
        to_jsonb(origin) as source_row
    from input.chart as judged
    inner join input.dasha_birth_charts as origin on judged.legacy_id = origin.id::text
    where
        judged.source = 'dasha'
        and judged.fate = 'rejected'
    union all
    select
        'compatibility_birth_charts' as source,
        judged.legacy_id as source_id,
        judged.reason,
        origin.sync_id,
        to_jsonb(origin) as source_row
    from input.chart as judged
    inner join input.compatibility_birth_charts as origin on judged.legacy_id = origin.id::text
    where
        judged.source = 'compatibility'
        and judged.fate = 'rejected'
    union all
    select
        'dasha_dasha_data' as source,
        judged.legacy_id as source_id,
        judged.reason,
        origin.sync_id,
        to_jsonb(origin) as source_row
    from input.dasha as judged
    inner join input.dasha_dasha_data as origin on judged.legacy_id = origin.id::text
    where
        judged.source = 'dasha'
        and judged.fate = 'rejected'
    union all
    select
        'compatibility_results' as source,
        judged.legacy_id as source_id,
        judged.reason,
        origin.sync_id,
        to_jsonb(origin) as source_row
    from input.result as judged
    inner join input.compatibility_results as origin on judged.legacy_id = origin.id::text
    where
        judged.source = 'compatibility'
        and judged.fate = 'rejected'
    union all
    select
        'dasha_subscriptions' as source,
        judged.legacy_id as source_id,
        judged.reason,
        origin.sync_id,
        to_jsonb(origin) as source_row
    from input.subscription as judged
    inner join input.dasha_subscriptions as origin on judged.legacy_id = origin.id::text
    where
        judged.source = 'dasha'
        and judged.fate = 'rejected'
    union all
    select
        'compatibility_subscriptions' as source,
        judged.legacy_id as source_id,
        judged.reason,
        origin.sync_id,
        to_jsonb(origin) as source_row
    from input.subscription as judged
    inner join input.compatibility_subscriptions as origin on judged.legacy_id = origin.id::text
    where
        judged.source = 'compatibility'
        and judged.fate = 'rejected'
    union all
    select
        'dasha_fcm_tokens' as source,
        judged.legacy_id as source_id,
        judged.reason,
        origin.sync_id,
        to_jsonb(origin) as source_row
    from input.token as judged
    inner join input.dasha_fcm_tokens as origin on judged.legacy_id = origin.id::text
    where
        judged.source = 'dasha'
        and judged.fate = 'rejected'
    union all
    select
        'compatibility_fcm_tokens' as source,
        judged.legacy_id as source_id,
        judged.reason,
        origin.sync_id,
        to_jsonb(origin) as source_row
    from input.token as judged
    inner join input.compatibility_fcm_tokens as origin on judged.legacy_id = origin.id::text
    where
        judged.source = 'compatibility'
        and judged.fate = 'rejected'
    union all
    select
        'dasha_user_preferences' as source,
        judged.legacy_id as source_id,
        judged.reason,
        origin.sync_id,
        to_jsonb(origin) as source_row
    from input.preference as judged
    inner join input.dasha_user_preferences as origin on judged.legacy_id = origin.id::text
    where
        judged.source = 'dasha'
        and judged.fate = 'rejected'
    union all
    select
        'compatibility_user_preferences' as source,
        judged.legacy_id as source_id,
        judged.reason,
        origin.sync_id,
        to_jsonb(origin) as source_row
    from input.preference as judged
    inner join input.compatibility_user_preferences as origin on judged.legacy_id = origin.id::text
    where
        judged.source = 'compatibility'
        and judged.fate = 'rejected'
)

insert into cutover.rejects (run, sync_id, source, source_id, reason, detail, source_row)
select
    %(run)s as run,
    rejected.sync_id,
    rejected.source,
    rejected.source_id,
    rejected.reason,
    explained.detail,
    -- the row as the source has it, without what the copy put beside it
    rejected.source_row - '{content_hash,sync_id,api_synced_at,gone_at}'::text[] as source_row
from rejected
inner join explained on rejected.reason = explained.reason
order by rejected.source asc, rejected.source_id asc

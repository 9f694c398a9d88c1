-- Every subscription of both sources, and what becomes of it. One Stripe subscription is one row: known to both
-- applications it is merged, in the state in which it was modified last; under two different people it is a
-- contradiction, and rejected for the later one.
drop table if exists input.subscription;

create table input.subscription as
with
source_subscription as (
    select
        'dasha' as source,
        id::text as id,
        user_id::text as user_id,
        stripe_subscription_id,
        plan_name,
        monthly_amount,
        status,
        started_at,
        next_billing_at,
        updated_at,
        api_synced_at
    from input.dasha_subscriptions
    union all
    select
        'compatibility' as source,
        id::text as id,
        user_id::text as user_id,
        stripe_subscription_id,
        plan_name,
        monthly_amount,
        status,
        started_at,
        next_billing_at,
        updated_at,
        api_synced_at
    from input.compatibility_subscriptions
),

joined as (
    select
        md5('mula_unification/subscriptions/' || subscription.source || '/' || subscription.id)::uuid as id,
        subscription.source,
        subscription.id::text as legacy_id,
        account.user_id,
        nullif(btrim(subscription.stripe_subscription_id), '') as stripe_subscription_id,
        subscription.plan_name,
        subscription.monthly_amount,
        subscription.status,
        coalesce(subscription.started_at, subscription.api_synced_at) as started_at,
        subscription.next_billing_at,
        coalesce(subscription.updated_at, subscription.started_at, subscription.api_synced_at) as updated_at,
        case
            when account.source is null then 'orphan_user'
            when account.fate = 'rejected' then 'user_rejected'
            -- NaN is above every number
            when subscription.monthly_amount < 0 or subscription.monthly_amount = 'NaN' then 'impossible_amount'
            when subscription.plan_name not in ('free', 'basic', 'premium') then 'unknown_plan'
        end as rejected_reason,
        case when account.fate = 'left_out' then 'its account was deleted in the unified database' end
            as left_out_reason
    from source_subscription as subscription
    left join input.account as account
        on subscription.source = account.source and subscription.user_id::text = account.legacy_id
),

ranked as (
    select
        joined.*,
        row_number() over claims as claim,
        first_value(joined.user_id) over claims as first_user_id,
        -- what the two applications say of one subscription: the last word counts
        first_value(joined.id) over states as latest_id
    from joined
    window
        claims as (
            partition by
                joined.stripe_subscription_id, joined.rejected_reason is null and joined.left_out_reason is null
            order by joined.started_at asc, joined.id asc
        ),
        states as (
            partition by
                coalesce(joined.stripe_subscription_id, joined.id::text),
                joined.user_id,
                joined.rejected_reason is null and joined.left_out_reason is null
            order by joined.updated_at desc, joined.started_at desc, joined.id asc
        )
),

judged as (
    select
        ranked.*,
        change.is_deleted,
        ranked.rejected_reason is null
        and ranked.left_out_reason is null
        and ranked.stripe_subscription_id is not null
        and (ranked.claim > 1 or live.id is not null) as is_known,
        coalesce(live.user_id, ranked.first_user_id) = ranked.user_id as is_own
    from ranked
    left join input.live_changed as change on ranked.id = change.id and change.table_name = 'subscriptions'
    left join input.live_subscriptions as live
        on ranked.stripe_subscription_id = live.stripe_subscription_id and ranked.id <> live.id
)

select
    judged.id,
    judged.source,
    judged.legacy_id,
    judged.user_id,
    judged.stripe_subscription_id,
    latest.plan_name,
    latest.monthly_amount,
    latest.status,
    judged.started_at,
    latest.next_billing_at,
    case
        when judged.rejected_reason is not null or (judged.is_known and not judged.is_own) then 'rejected'
        when judged.left_out_reason is not null or judged.is_deleted then 'left_out'
        when judged.is_known or not judged.is_deleted then 'merged'
        else 'staged'
    end as fate,
    case
        when judged.rejected_reason is not null then judged.rejected_reason
        when judged.is_known and not judged.is_own then 'subscription_taken'
        when judged.left_out_reason is not null then judged.left_out_reason
        when judged.is_deleted then 'deleted in the unified database'
        when judged.is_known then 'the same Stripe subscription'
        when not judged.is_deleted then 'changed in the unified database'
    end as reason
from judged
inner join joined as latest on judged.latest_id = latest.id;

alter table input.subscription add primary key (source, legacy_id);
create index on input.subscription (id);
analyze input.subscription;

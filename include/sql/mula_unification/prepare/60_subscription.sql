-- Every subscription of both sources, and what becomes of it. One Stripe subscription is one row: known to both
-- applications it is merged; under two different people it is a contradiction, and rejected for the later one.
drop table if exists input.subscription;

create table input.subscription as
with
source_subscription as (
    select
        'dasha' as source,
        source.*
    from input.dasha_subscriptions as source
    union all
    select
        'compatibility' as source,
        source.*
    from input.compatibility_subscriptions as source
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
        case
            when account.source is null then 'orphan_user'
            when account.fate = 'rejected' then 'user_rejected'
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
        first_value(joined.user_id) over claims as first_user_id
    from joined
    window claims as (
        partition by
            joined.stripe_subscription_id, joined.rejected_reason is null and joined.left_out_reason is null
        order by joined.started_at asc, joined.id asc
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
    id,
    source,
    legacy_id,
    user_id,
    stripe_subscription_id,
    plan_name,
    monthly_amount,
    status,
    started_at,
    next_billing_at,
    case
        when rejected_reason is not null or (is_known and not is_own) then 'rejected'
        when left_out_reason is not null or is_deleted then 'left_out'
        when is_known or not is_deleted then 'merged'
        else 'staged'
    end as fate,
    case
        when rejected_reason is not null then rejected_reason
        when is_known and not is_own then 'subscription_taken'
        when left_out_reason is not null then left_out_reason
        when is_deleted then 'deleted in the unified database'
        when is_known then 'the same Stripe subscription'
        when not is_deleted then 'changed in the unified database'
    end as reason
from judged;

alter table input.subscription add primary key (source, legacy_id);
create index on input.subscription (id);
analyze input.subscription;

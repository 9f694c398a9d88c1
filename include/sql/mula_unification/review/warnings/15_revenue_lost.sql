-- Active subscriptions that do not go live: revenue of each month that nobody would collect
with lost as (
    select
        reject.source,
        reject.source_id,
        reject.reason,
        reject.source_row ->> 'plan_name' as plan_name,
        (reject.source_row ->> 'monthly_amount')::numeric as monthly_amount,
        reject.source_row ->> 'stripe_subscription_id' as stripe_subscription_id
    from cutover.rejects as reject
    where
        reject.run = %(run)s
        and reject.source in ('dasha_subscriptions', 'compatibility_subscriptions')
        and reject.source_row ->> 'status' = 'active'
    union all
    -- deleted in the unified database, by itself or with its account: the payment provider may go on all the same
    select
        subscription.source || '_subscriptions' as source,
        subscription.legacy_id as source_id,
        subscription.reason,
        subscription.plan_name,
        subscription.monthly_amount,
        subscription.stripe_subscription_id
    from input.subscription as subscription
    where
        subscription.fate = 'left_out'
        and subscription.status = 'active'
        and not exists (
            select
            from staging.subscriptions as kept
            where kept.stripe_subscription_id = subscription.stripe_subscription_id
        )
)

select *
from lost
order by monthly_amount desc nulls last, source asc, source_id asc

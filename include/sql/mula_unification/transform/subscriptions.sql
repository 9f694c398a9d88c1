-- All subscriptions of both sources, and those that the unified database has besides. Two active ones of one person
-- both stay: ending one is for that person to decide, and the approver sees the list.
insert into staging.subscriptions (
    id,
    user_id,
    stripe_subscription_id,
    plan_name,
    monthly_amount,
    status,
    started_at,
    next_billing_at
)
select
    id,
    user_id,
    stripe_subscription_id,
    plan_name,
    monthly_amount,
    status,
    started_at,
    next_billing_at
from input.subscription
where fate = 'staged'
union all
select
    live.id,
    live.user_id,
    live.stripe_subscription_id,
    live.plan_name,
    live.monthly_amount,
    live.status,
    live.started_at,
    live.next_billing_at
from input.live_subscriptions as live
where not exists (select from input.subscription as known where known.id = live.id and known.fate = 'staged')

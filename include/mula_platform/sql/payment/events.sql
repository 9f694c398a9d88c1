-- What has happened to a subscription since its source was last told of it. Stripe's times are whole seconds.
select
    event_id,
    event_type,
    created_at,
    subscription_id,
    customer_id,
    status,
    plan_name,
    monthly_amount,
    next_billing_at,
    ends
from platform.stripe_event
where source = %(source)s and subscription_id = %(subscription_id)s and created_at > %(known_at)s;

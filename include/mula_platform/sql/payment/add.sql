-- Writes an event down, if it is not there yet.
insert into platform.stripe_event (
    source,
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
)
values (
    %(source)s,
    %(event_id)s,
    %(event_type)s,
    %(created_at)s,
    %(subscription_id)s,
    %(customer_id)s,
    %(status)s,
    %(plan_name)s,
    %(monthly_amount)s,
    %(next_billing_at)s,
    %(ends)s
)
on conflict (source, event_id) do nothing
returning event_id;

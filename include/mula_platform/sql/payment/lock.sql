-- A subscription of one application, locked, with what it was when its source was last told of it.
select
    s.id,
    s.user_id,
    known.known_at,
    known.status,
    known.plan_name,
    known.monthly_amount,
    known.next_billing_at
from public.subscriptions as s
inner join platform.stripe_subscription as known on s.stripe_subscription_id = known.subscription_id
where known.source = %(source)s and known.subscription_id = %(subscription_id)s
for update of s;

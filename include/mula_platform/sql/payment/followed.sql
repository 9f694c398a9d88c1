-- Subscriptions that somebody has here and that Stripe has spoken of.
select distinct
    e.source,
    e.subscription_id
from platform.stripe_event as e
inner join platform.stripe_subscription as known
    on e.source = known.source and e.subscription_id = known.subscription_id
inner join public.subscriptions as s on known.subscription_id = s.stripe_subscription_id
order by e.source, e.subscription_id;

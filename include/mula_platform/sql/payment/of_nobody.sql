-- Subscriptions that Stripe speaks of and nobody has here: as the newest event has each, and who has another one of the
-- same customer.
with
told as (
    select
        e.source,
        e.subscription_id,
        max(e.customer_id) as customer_id,
        count(*) as events,
        max(e.created_at) as newest_at,
        (array_agg(e.event_type order by e.created_at desc, e.event_id desc))[1] as newest_type,
        (array_agg(e.status order by e.status is null asc, e.created_at desc, e.event_id desc))[1] as status,
        (array_agg(e.monthly_amount order by e.monthly_amount is null asc, e.created_at desc, e.event_id desc))[1]
            as monthly_amount
    from platform.stripe_event as e
    where
        e.subscription_id is not null
        -- two endpoints of one Stripe account are both told of everything
        and not exists (
            select
            from platform.stripe_subscription as known
            inner join public.subscriptions as s on known.subscription_id = s.stripe_subscription_id
            where known.subscription_id = e.subscription_id
        )
    group by e.source, e.subscription_id
)

select
    t.source,
    t.subscription_id,
    t.events,
    t.newest_at,
    t.newest_type,
    t.status,
    t.monthly_amount,
    (
        select s.user_id
        from platform.stripe_event as e
        inner join platform.stripe_subscription as known
            on e.source = known.source and e.subscription_id = known.subscription_id
        inner join public.subscriptions as s on known.subscription_id = s.stripe_subscription_id
        where e.source = t.source and e.customer_id = t.customer_id
        limit 1
    ) as customer_user_id
from told as t
order by t.newest_at desc, t.source asc, t.subscription_id asc;

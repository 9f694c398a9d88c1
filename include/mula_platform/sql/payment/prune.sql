-- Events that are about no subscription, a few at a time, once Stripe does not send them again: by itself it does for
-- days, by hand for a month.
delete from platform.stripe_event
where (source, event_id) in (
        select
            source,
            event_id
        from platform.stripe_event
        where subscription_id is null and received_at < now() - interval '60 days'
        order by received_at
        limit 20
    );

-- What the platform itself keeps of a person, but for the digests of used tokens, which say nothing.
with
account as (
    select identity_id
    from platform.accounts_of(%(user_id)s)
),

gone_credential as (
    delete from platform.credential where identity_id in (select identity_id from account)
),

gone_holding as (
    delete from platform.holding where identity_id in (select identity_id from account)
),

gone_origin as (
    delete from platform.origin where identity_id in (select identity_id from account)
),

gone_event as (
    delete from platform.stripe_event
    where subscription_id in (select stripe_subscription_id from public.subscriptions where user_id = %(user_id)s)
),

gone_subscription as (
    delete from platform.stripe_subscription
    where subscription_id in (select stripe_subscription_id from public.subscriptions where user_id = %(user_id)s)
),

gone_views as (
    delete from platform.share_view
    where result_id in (select id from public.compatibility_results where user_id = %(user_id)s)
)

delete from platform.session
where user_id = %(user_id)s;

-- Which account each migrated row came from, as the sources' copies say. Again after every launch: new rows come.
insert into platform.origin (table_name, row_id, identity_id)
with
account_row as (
    select
        'birth_charts' as table_name,
        'dasha' as source,
        id,
        user_id
    from raw.dasha_birth_charts
    union all
    select
        'birth_charts' as table_name,
        'compatibility' as source,
        id,
        user_id
    from raw.compatibility_birth_charts
    union all
    select
        'dasha_data' as table_name,
        'dasha' as source,
        id,
        user_id
    from raw.dasha_dasha_data
    union all
    select
        'compatibility_results' as table_name,
        'compatibility' as source,
        id,
        user_id
    from raw.compatibility_results
),

subscription as (
    select
        'dasha' as source,
        user_id,
        stripe_subscription_id,
        md5('mula_unification/subscriptions/dasha/' || id)::uuid as row_id
    from raw.dasha_subscriptions
    union all
    select
        'compatibility' as source,
        user_id,
        stripe_subscription_id,
        md5('mula_unification/subscriptions/compatibility/' || id)::uuid as row_id
    from raw.compatibility_subscriptions
),

preference as (
    select
        'dasha' as source,
        user_id
    from raw.dasha_user_preferences
    union all
    select
        'compatibility' as source,
        user_id
    from raw.compatibility_user_preferences
)

select
    table_name,
    md5('mula_unification/' || table_name || '/' || source || '/' || id)::uuid as row_id,
    md5('mula_unification/legacy_identities/' || source || '/' || user_id)::uuid as identity_id
from account_row
where user_id is not null
union
select
    'subscriptions' as table_name,
    row_id,
    md5('mula_unification/legacy_identities/' || source || '/' || user_id)::uuid as identity_id
from subscription
where user_id is not null
union
-- a Stripe subscription that both applications know is one row
select
    'subscriptions' as table_name,
    s.id as row_id,
    md5('mula_unification/legacy_identities/' || r.source || '/' || r.user_id)::uuid as identity_id
from public.subscriptions as s
inner join subscription as r on s.stripe_subscription_id = r.stripe_subscription_id
where r.user_id is not null
union
-- preferences are united from all accounts of a person that have any
select
    'user_preferences' as table_name,
    p.id as row_id,
    i.id as identity_id
from public.user_preferences as p
inner join public.legacy_identities as i on p.user_id = i.user_id
inner join preference as r on i.source = r.source and i.legacy_user_id = r.user_id::text
on conflict do nothing;

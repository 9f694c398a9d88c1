-- Every account of both applications that somebody may want to sign in with: whose it is, and of each kind of row the
-- fewest and the most that it must be shown. Accounts that this run has rejected are among them, and nobody's; those
-- that somebody has deleted in the unified database are not.
-- An account is shown what came from it, and from others of its person once they are proved; what it has in common
-- with another one only then. So where a person has one account, or none of the others is proved, both numbers are one.
with
account as (
    select
        'dasha' as application,
        id::text as account,
        email
    from raw.dasha_users
    where gone_at is null
    union all
    select
        'compatibility' as application,
        id::text as account,
        email
    from raw.compatibility_users
    where gone_at is null
),

subscription as (
    select
        'dasha' as application,
        user_id,
        stripe_subscription_id,
        md5('mula_unification/subscriptions/dasha/' || id)::uuid as row_id
    from raw.dasha_subscriptions
    union all
    select
        'compatibility' as application,
        user_id,
        stripe_subscription_id,
        md5('mula_unification/subscriptions/compatibility/' || id)::uuid as row_id
    from raw.compatibility_subscriptions
),

-- from which account a row came; a united one from each of several
origin as (
    select
        'birth_charts' as kind,
        md5('mula_unification/birth_charts/dasha/' || id)::uuid as row_id,
        'dasha' as application,
        user_id::text as account
    from raw.dasha_birth_charts
    union
    select
        'birth_charts' as kind,
        md5('mula_unification/birth_charts/compatibility/' || id)::uuid as row_id,
        'compatibility' as application,
        user_id::text as account
    from raw.compatibility_birth_charts
    union
    select
        'dasha_data' as kind,
        md5('mula_unification/dasha_data/dasha/' || id)::uuid as row_id,
        'dasha' as application,
        user_id::text as account
    from raw.dasha_dasha_data
    union
    select
        'compatibility_results' as kind,
        md5('mula_unification/compatibility_results/compatibility/' || id)::uuid as row_id,
        'compatibility' as application,
        user_id::text as account
    from raw.compatibility_results
    union
    select
        'subscriptions' as kind,
        row_id,
        application,
        user_id::text as account
    from subscription
    union
    select
        'subscriptions' as kind,
        s.id as row_id,
        r.application,
        r.user_id::text as account
    from public.subscriptions as s
    inner join subscription as r on s.stripe_subscription_id = r.stripe_subscription_id
),

launched as (
    select
        'birth_charts' as kind,
        id as row_id,
        user_id
    from public.birth_charts
    union all
    select
        'dasha_data' as kind,
        id as row_id,
        user_id
    from public.dasha_data
    union all
    select
        'compatibility_results' as kind,
        id as row_id,
        user_id
    from public.compatibility_results
    union all
    select
        'subscriptions' as kind,
        id as row_id,
        user_id
    from public.subscriptions
),

-- of each row, the accounts of its person that it came from
known as (
    select
        l.kind,
        l.row_id,
        l.user_id,
        coalesce(array_agg(i.id) filter (where i.id is not null), '{}') as came_from,
        coalesce(array_agg(i.id) filter (where i.id is not null and i.proved_at is null), '{}') as unproved
    from launched as l
    left join origin as o on l.kind = o.kind and l.row_id = o.row_id
    left join public.legacy_identities as i
        on o.application = i.source and o.account = i.legacy_user_id and l.user_id = i.user_id
    group by l.kind, l.row_id, l.user_id
),

-- of each account and kind of row
bound as (
    select
        i.id as identity_id,
        k.kind,
        count(*) filter (where k.came_from = array[i.id]) as least,
        count(*) filter (where cardinality(array_remove(k.unproved, i.id)) = 0) as most
    from public.legacy_identities as i
    inner join known as k on i.user_id = k.user_id
    group by i.id, k.kind
),

-- where a person has one account, it is shown all that the person has
single as (
    select (array_agg(id))[1] as identity_id
    from public.legacy_identities
    group by user_id
    having count(*) = 1
)

select
    a.application,
    a.account,
    a.email,
    i.user_id::text as user_id,
    (
        select min(r.reason)
        from cutover.rejects as r
        where r.run = %(run)s and r.source = a.application || '_users' and r.source_id = a.account
    ) as rejected,
    coalesce(
        (
            select jsonb_object_agg(b.kind, case when single.identity_id is null then b.least else b.most end)
            from bound as b
            where b.identity_id = i.id
        ),
        '{}'
    ) as least,
    coalesce(
        (
            select jsonb_object_agg(b.kind, b.most)
            from bound as b
            where b.identity_id = i.id
        ),
        '{}'
    ) as most,
    count(*) over () as total
from account as a
left join public.legacy_identities as i on a.application = i.source and a.account = i.legacy_user_id
left join single on i.id = single.identity_id
where
    i.id is not null
    or exists (
        select
        from cutover.rejects as r
        where r.run = %(run)s and r.source = a.application || '_users' and r.source_id = a.account
    )
order by a.application, a.account

-- Before the launch: everybody with a usable address in either application, one person per address, as they were when
-- the sources were last copied. Whoever has switched a channel off in one of them is not told by it.
with
account as (
    select
        'dasha' as source,
        u.id,
        u.email
    from raw.dasha_users as u
    where u.gone_at is null
    union all
    select
        'compatibility' as source,
        u.id,
        u.email
    from raw.compatibility_users as u
    where u.gone_at is null
),

preference as (
    select
        'dasha' as source,
        p.user_id,
        p.email_enabled,
        p.notifications_enabled
    from raw.dasha_user_preferences as p
    where p.gone_at is null
    union all
    select
        'compatibility' as source,
        p.user_id,
        p.email_enabled,
        p.notifications_enabled
    from raw.compatibility_user_preferences as p
    where p.gone_at is null
),

registered as (
    select
        'dasha' as source,
        t.user_id,
        btrim(t.token) as token,
        t.created_at
    from raw.dasha_fcm_tokens as t
    where t.gone_at is null and t.is_active
    union all
    select
        'compatibility' as source,
        t.user_id,
        btrim(t.token) as token,
        t.created_at
    from raw.compatibility_fcm_tokens as t
    where t.gone_at is null and t.is_active
),

-- a device is told for whoever registered it last
device as (
    select distinct on (r.token)
        cutover.email_key(a.email) as email,
        r.token,
        r.created_at
    from registered as r
    inner join account as a on r.source = a.source and r.user_id = a.id
    where r.token <> ''
    order by r.token asc, r.created_at desc nulls last
),

person as (
    select
        coalesce(cutover.email_key(a.email), a.source || ' ' || a.id) as person,
        cutover.email_key(a.email) as email,
        bool_and(coalesce(p.email_enabled, true)) as takes_email,
        bool_and(coalesce(p.notifications_enabled, true)) as takes_push
    from account as a
    left join preference as p on a.source = p.source and a.id = p.user_id
    group by 1, 2
),

devices as (
    select
        d.email,
        array_agg(d.token order by d.created_at desc nulls last, d.token asc) as tokens
    from device as d
    group by d.email
)

select
    p.person,
    'email' as channel,
    p.email,
    null::text as user_id,
    -- a name may be a stranger's who registered somebody's address: nobody has proved it yet
    null::text as name,
    array[p.email] as recipients,
    case
        when p.email is null then 'no usable address'
        when not p.takes_email then 'opted out'
    end as skip
from person as p
union all
select
    p.person,
    'push' as channel,
    p.email,
    null::text as user_id,
    null::text as name,
    d.tokens as recipients,
    case
        when p.email is null then 'no usable address'
        when not p.takes_push then 'opted out'
        when d.tokens is null then 'no device'
    end as skip
from person as p
left join devices as d on p.email = d.email

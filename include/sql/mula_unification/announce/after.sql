-- After the launch: everybody in the unified database. Accounts that the launch has rejected are not told.
with
devices as (
    select
        t.user_id,
        array_agg(t.token::text order by t.created_at desc nulls last, t.token asc) as tokens
    from public.fcm_tokens as t
    where t.is_active
    group by t.user_id
),

-- of the newest launch
rejected as (
    select distinct r.source || ' ' || r.source_id as person
    from cutover.rejects as r
    where
        r.source in ('dasha_users', 'compatibility_users')
        and r.source_id is not null
        and r.run = (
            select l.run from cutover.ledger as l
            where l.migration = %(migration)s and l.action = 'swap'
            order by l.entry desc
            limit 1
        )
)

select
    u.id::text as person,
    c.channel,
    cutover.email_key(u.email) as email,
    u.id::text as user_id,
    u.username::text as name,
    case when c.channel = 'email' then array[cutover.email_key(u.email)] else d.tokens end as recipients,
    case
        when cutover.email_key(u.email) is null then 'no usable address'
        when c.channel = 'email' and not p.email_enabled then 'opted out'
        when c.channel = 'push' and not p.notifications_enabled then 'opted out'
        when c.channel = 'push' and d.tokens is null then 'no device'
    end as skip
from public.users as u
cross join (values ('email'), ('push')) as c (channel)
left join public.user_preferences as p on u.id = p.user_id
left join devices as d on u.id = d.user_id
union all
select
    r.person,
    c.channel,
    null::text as email,
    null::text as user_id,
    null::text as name,
    null::text[] as recipients,
    'rejected account' as skip
from rejected as r
cross join (values ('email'), ('push')) as c (channel)

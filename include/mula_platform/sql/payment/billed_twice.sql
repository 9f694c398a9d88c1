-- Everybody who is billed for more than one subscription, with each of them.
with
billed as (
    select
        s.*,
        count(*) over (partition by s.user_id) as theirs
    from public.subscriptions as s
    where s.status in ('active', 'past_due', 'trialing') and s.monthly_amount is distinct from 0
)

select
    b.user_id,
    u.email,
    b.stripe_subscription_id,
    b.plan_name,
    b.monthly_amount,
    b.status,
    b.started_at,
    b.next_billing_at,
    (
        select string_agg(distinct i.source, ', ')
        from platform.origin as o
        inner join public.legacy_identities as i on o.identity_id = i.id
        where o.table_name = 'subscriptions' and o.row_id = b.id
    ) as source
from billed as b
inner join public.users as u on b.user_id = u.id
where b.theirs > 1
order by u.created_at asc, b.user_id asc, b.started_at asc, b.id asc;

-- Subscriptions that may be shown, those that are paid for first.
select
    s.id,
    s.plan_name,
    s.monthly_amount,
    s.status,
    s.started_at,
    s.next_billing_at,
    s.status not in ('canceled', 'incomplete_expired') as is_running,
    s.status in ('active', 'past_due', 'trialing') and coalesce(s.monthly_amount <> 0, true) as is_billed
from public.subscriptions as s
where s.user_id = %(user_id)s and platform.is_shown('subscriptions', s.id, %(hidden)s)
order by is_running desc, s.started_at desc, s.id asc;

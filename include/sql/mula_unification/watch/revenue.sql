-- Monthly revenue of active subscriptions
-- unit: USD
-- at_least: 1.0 of baseline
select coalesce(sum(s.monthly_amount), 0)
from public.subscriptions as s
where s.status = 'active'

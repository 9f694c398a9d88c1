-- Subscriptions that are paid for, and what they bring in a month.
select
    s.plan_name,
    count(*) as subscriptions,
    sum(s.monthly_amount) as monthly_amount
from public.subscriptions as s
where s.status in ('active', 'past_due', 'trialing')
group by s.plan_name
order by s.plan_name

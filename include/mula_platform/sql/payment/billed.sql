-- How many subscriptions somebody is billed for.
select count(*) as subscriptions
from public.subscriptions
where user_id = %(user_id)s and status in ('active', 'past_due', 'trialing') and monthly_amount is distinct from 0;

-- Users with more than one active subscription
select count(*) as found
from (
    select user_id
    from public.subscriptions
    where status = 'active'
    group by user_id
    having count(*) > 1
) as several

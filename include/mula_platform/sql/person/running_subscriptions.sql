-- Subscriptions that go on being billed.
select count(*) as running
from public.subscriptions
where user_id = %(user_id)s and status not in ('canceled', 'incomplete_expired');

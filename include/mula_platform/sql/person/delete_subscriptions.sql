-- Subscriptions that have ended; one that runs keeps the person.
delete from public.subscriptions
where user_id = %(user_id)s and status in ('canceled', 'incomplete_expired');

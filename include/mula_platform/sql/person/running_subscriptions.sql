-- Subscriptions that go on being billed. All of them are locked, whatever they are: an event that comes now waits, and
-- finds none. Materialized, or else the condition is looked at first, and those that have ended are not locked.
with theirs as materialized (
    select s.status
    from public.subscriptions as s
    where s.user_id = %(user_id)s
    order by s.id
    for update
)

select count(*) as running
from theirs
where status not in ('canceled', 'incomplete_expired');

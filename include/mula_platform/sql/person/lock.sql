-- The person, for deletion.
select u.id
from public.users as u
where u.id = %(user_id)s
for update;

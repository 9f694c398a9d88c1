-- The person was here.
update public.users
set last_login = now()
where id = %(user_id)s;

-- The person, and by their keys everything that is theirs alone.
delete from public.users
where id = %(user_id)s
returning id;

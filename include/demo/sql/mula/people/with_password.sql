-- Who signs in by a password, in an application's own database.
select
    id,
    email
from public.users
where password_hash is not null and email is not null
order by id

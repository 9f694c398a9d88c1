-- In an application's own database: who signs in by password.
select
    id::text as legacy_user_id,
    password_hash as hash
from public.users
where password_hash is not null and password_hash <> '';

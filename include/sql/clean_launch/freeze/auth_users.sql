-- Who has an account. Only what tells accounts apart: passwords and tokens never leave auth.users.
create table input.auth_users as
select
    id,
    email::text as email,
    created_at,
    email_confirmed_at,
    last_sign_in_at,
    banned_until,
    coalesce(is_sso_user, false) as is_sso_user,
    deleted_at
from auth.users;

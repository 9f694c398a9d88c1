-- Every new account can be made. Not so: an address that a profile of another account holds today (the sign-up trigger
-- makes a profile for each new account, and production would refuse the second one in the middle of the swap), and
-- one longer than auth.users.email.
select
    u.id as staged_id,
    'a profile of another account has this address' as obstacle,
    p.id as held_by
from staging.users as u
inner join input.unified_profiles as p on u.email = cutover.email_key(p.email)
where
    u.is_new
    and u.id <> p.id
union all
select
    id as staged_id,
    'the address is longer than 255 characters' as obstacle,
    null as held_by
from staging.users
where
    is_new
    and length(email) > 255

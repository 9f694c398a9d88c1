-- No new account has an address that a profile of another account holds today: the sign-up trigger makes a profile
-- for each new account, and production would refuse the second one in the middle of the swap.
select
    u.id as staged_id,
    p.id as held_by
from staging.users as u
inner join input.unified_profiles as p on u.email = cutover.email_key(p.email)
where
    u.is_new
    and u.id <> p.id

-- Every new account and profile can be made. Not so: an address that a profile of another account holds today (the
-- sign-up trigger makes a profile for each new account, and production would refuse the second one in the middle of the
-- swap). Somebody has written it there: a profile is its owner's to edit.
select
    u.id as staged_id,
    'a profile of another account has this address' as obstacle,
    p.id as held_by
from staging.users as u
inner join input.unified_profiles as p on u.email = cutover.email_key(p.email)
where
    u.id <> p.id
    and (
        u.is_new
        or (p.email = u.email and exists (select from input.member as m where m.account_id = p.id))
    )

-- New customers whose address a profile of another account holds by now: the sign-up trigger could not make theirs.
-- Found by the address to the letter, as the key of the profiles has it, and in the profiles' own index.
select
    staged.id,
    held.id as held_by
from staging.users as staged
inner join public.unified_profiles as held on staged.email = held.email
where
    staged.is_new
    and staged.id <> held.id
    -- who has signed up since the freeze is not made again
    and not exists (select from auth.users as u where cutover.email_key(u.email) = staged.email)
order by staged.id asc

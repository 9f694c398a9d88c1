-- The account behind a password that fitted, if neither has changed since it was read.
select i.user_id
from platform.credential as c
inner join public.legacy_identities as i on c.identity_id = i.id
where c.identity_id = %(identity_id)s and c.hash = %(hash)s
for update of c;

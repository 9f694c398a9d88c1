-- The password of one account of a person.
select c.hash
from platform.credential as c
inner join public.legacy_identities as i on c.identity_id = i.id
where c.identity_id = %(identity_id)s and i.user_id = %(user_id)s;

-- The account that an old token is of: found by application and number, never by an address. `is_void`: whoever owns
-- its address has taken it over by a link, which ended every other way in.
select
    i.id as identity_id,
    i.user_id,
    coalesce(h.joined_by = 'link', false) as is_void
from public.legacy_identities as i
inner join public.users as u on i.user_id = u.id
left join platform.holding as h on i.id = h.identity_id
where i.source = %(source)s and i.legacy_user_id = %(legacy_user_id)s;

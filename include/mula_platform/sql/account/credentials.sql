-- The passwords that may be meant by an address: of the accounts whose application knew it by that address, and of all
-- accounts of the person whose address it is. The latter first.
select
    c.identity_id,
    c.hash,
    i.user_id
from platform.credential as c
inner join public.legacy_identities as i on c.identity_id = i.id
inner join public.users as u on i.user_id = u.id
where
    c.address = lower(btrim(normalize(%(address)s, nfc)))
    or c.identity_id in (
        select known.id
        from public.legacy_identities as known
        inner join public.users as owner on known.user_id = owner.id
        where lower(owner.email) = lower(btrim(normalize(%(address)s, nfc)))
    )
order by lower(u.email) = lower(btrim(normalize(%(address)s, nfc))) desc, c.identity_id asc
limit %(most)s;

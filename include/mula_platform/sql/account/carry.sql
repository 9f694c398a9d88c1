-- A password hash as its source has it. One that was renewed here stays; an account without a person gets none, and
-- neither does one that lost its own password here.
insert into platform.credential (identity_id, address, hash)
select
    i.id,
    lower(btrim(normalize(i.email, nfc))),
    %(hash)s
from public.legacy_identities as i
left join platform.holding as h on i.id = h.identity_id
where
    i.source = %(source)s
    and i.legacy_user_id = %(legacy_user_id)s
    and coalesce(h.joined_by <> 'link', true)
on conflict (identity_id) do update
    set
        hash = excluded.hash,
        carried_at = now()
    where credential.renewed_at is null and credential.hash <> excluded.hash;

-- The account is proved from now on; an earlier proof stays.
update public.legacy_identities
set proved_at = now(), proved_by = %(proved_by)s
where id = %(identity_id)s and proved_at is null;

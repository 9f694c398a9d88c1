-- The hash of the source is replaced by one of ours.
update platform.credential
set hash = %(hash)s, renewed_at = now()
where identity_id = %(identity_id)s;

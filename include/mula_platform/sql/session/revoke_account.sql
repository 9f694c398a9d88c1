-- All sessions that were opened by an account end now.
update platform.session
set revoked_at = now(), revoked_why = %(why)s
where identity_id = %(identity_id)s and revoked_at is null;

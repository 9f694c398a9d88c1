-- One session ends now.
update platform.session
set revoked_at = now(), revoked_why = %(why)s
where jti = %(jti)s and revoked_at is null;

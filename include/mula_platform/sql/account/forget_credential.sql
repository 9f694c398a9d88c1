-- An account loses its own password.
delete from platform.credential
where identity_id = %(identity_id)s;

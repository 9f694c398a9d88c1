-- An account is its own again.
delete from platform.holding
where identity_id = %(identity_id)s;

-- A session of a person, opened by the proof of one account.
insert into platform.session (jti, user_id, identity_id, way, expires_at)
values (%(jti)s, %(user_id)s, %(identity_id)s, %(way)s, now() + %(lifetime)s)
returning expires_at;

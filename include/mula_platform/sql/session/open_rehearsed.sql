-- A session of a rehearsal, for as long as that lasts at most.
insert into platform.session (jti, user_id, identity_id, way, expires_at, rehearsal)
values (%(jti)s, %(user_id)s, %(identity_id)s, %(way)s, %(expires_at)s, %(rehearsal)s);

-- All sessions of whoever holds the given accounts of a person end now.
update platform.session as s
set revoked_at = now(), revoked_why = %(why)s
from platform.accounts_of(%(user_id)s) as a
where s.identity_id = a.identity_id and a.holder = %(holder)s and s.revoked_at is null;

-- A session that is good at this moment, and whose it is: void when it was revoked or has expired, when the person is
-- deleted, and when the account that opened it is another person's by now (un-merged) or gone. One of a rehearsal is
-- found as such alone, and while that is open.
select
    s.jti,
    s.user_id,
    s.identity_id,
    s.expires_at,
    u.email,
    u.username as person_name,
    u.created_at as member_since,
    own.source,
    own.legacy_user_id,
    own.username as account_name,
    own.holder,
    -- accounts of the person that whoever opened this session has not proved
    (
        select coalesce(array_agg(other.identity_id), '{}')
        from platform.accounts_of(s.user_id) as other
        where other.holder <> own.holder
    ) as hidden
from platform.session as s
inner join public.users as u on s.user_id = u.id
inner join lateral platform.accounts_of(s.user_id) as own on s.identity_id = own.identity_id
where
    s.jti = %(jti)s
    and s.revoked_at is null
    and s.expires_at > now()
    and s.rehearsal is not distinct from %(rehearsal)s::uuid
    and (s.rehearsal is null or s.rehearsal in (select r.rehearsal_id from platform.open_rehearsal as r));

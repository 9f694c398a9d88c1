-- What can be believed by nobody any more, a little at each sign-in.
with
over as (
    select jti
    from platform.session
    where expires_at < now() - interval '1 day'
    limit 100
    for update skip locked
),

gone_session as (
    delete from platform.session where jti in (select jti from over)
),

useless as (
    select digest
    from platform.used_token
    where expires_at < now() - interval '1 day'
    limit 100
    for update skip locked
)

delete from platform.used_token
where digest in (select digest from useless);

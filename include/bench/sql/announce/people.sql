-- People who were not told yet, with an address and a device each.
with person as (
    insert into public.users (id, email, username)
    select
        gen_random_uuid() as id,
        format('p%%s.%%s@example.com', n, %(key)s::text) as email,
        format('P%%s', n) as username
    from generate_series(1, %(people)s) as n
    returning id, email
)

insert into public.fcm_tokens (user_id, token)
select
    id,
    'token ' || email as token
from person

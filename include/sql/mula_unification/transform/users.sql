-- One per person. Business rules: created_at the earliest, last_login the latest, username and OAuth pair from the
-- account logged into last.
insert into staging.users (id, email, username, oauth_provider, oauth_id, created_at, last_login)
select
    id,
    email,
    username,
    oauth_provider,
    oauth_id,
    created_at,
    last_login
from input.person

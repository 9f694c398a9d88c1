-- Accounts of one application: every tenth address is the other application's, too.
insert into public.users (
    id, email, username, password_hash, oauth_provider, oauth_id, created_at, last_login, updated_at
)
select
    n as id,
    case when n %% 10 = 0 then 'both' else %(application)s end || '.person.' || n || '@example.com' as email,
    'person' || n as username,
    md5(n::text) as password_hash,
    case when n %% 3 = 0 then 'google' end as oauth_provider,
    case when n %% 3 = 0 then 'g-' || n end as oauth_id,
    timestamp '2025-11-08' + n * interval '1 second' as created_at,
    timestamp '2025-11-20' + n * interval '1 second' as last_login,
    timestamptz '2025-11-20' + n * interval '1 second' as updated_at
from generate_series(1::bigint, %(users)s) as n

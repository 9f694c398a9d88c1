-- The keys whose tokens are believed, the newest first.
select
    kid,
    jwk,
    made_at,
    retired_at
from platform.signing_key
order by made_at desc;

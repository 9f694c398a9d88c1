-- Opens the rehearsal for as long as this session lasts at most: an application and its key a row.
select
    application,
    token_key
from platform.begin_rehearsal(%(run)s, %(lasts)s)

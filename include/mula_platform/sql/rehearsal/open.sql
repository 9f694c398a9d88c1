-- The rehearsal that is open at this moment, if one is.
select
    rehearsal_id,
    run,
    keys,
    ends_at
from platform.open_rehearsal;

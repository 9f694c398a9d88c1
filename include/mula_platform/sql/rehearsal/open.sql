-- The rehearsal that is open at this moment, if one is. What its transactions write ends with it, and would not be
-- missed after a crash: their commits do not wait for the disk.
select
    r.rehearsal_id,
    r.run,
    r.keys,
    r.ends_at
from platform.open_rehearsal as r
cross join set_config('synchronous_commit', 'off', true) as this_transaction;

-- The syncs that the frozen raw rows come from: the last complete ones that the snapshot of this copy sees.
insert into cutover.reading as kept (run, source, full_sync_id, sync_id)
select
    %(run)s,
    s.source,
    s.last_full_sync,
    s.last_sync
from cutover.sync_state as s
where s.source = any(%(sources)s)
on conflict (run, source) do update set
    full_sync_id = excluded.full_sync_id,
    sync_id = excluded.sync_id

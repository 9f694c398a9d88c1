-- Failing syncs that people were told of, and not yet that they are well again.
select
    e.dag_id,
    e.about
from cutover.event as e
where
    e.migration = %(migration)s
    and e.kind = 'sync_failing'
    and not exists (
        select from cutover.event as w
        where w.migration = e.migration and w.kind = 'sync_well' and w.about = e.about
    )

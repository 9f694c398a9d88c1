-- Swaps and rollbacks of the last hours.
select
    l.run,
    l.entry,
    l.action,
    l.undoes,
    l.approved_by as person,
    extract(epoch from l.recorded_at - l.locked_at) * 1000 as waited_ms,
    r.dag_id,
    r.dag_run_id
from cutover.ledger as l
inner join cutover.run as r on l.run = r.run
where l.migration = %(migration)s and l.recorded_at > clock_timestamp() - %(hours)s * interval '1 hour'

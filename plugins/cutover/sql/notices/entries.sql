-- Swaps and rollbacks of the last hours.
select
    l.run,
    l.entry,
    l.action,
    l.undoes,
    l.approved_by as person,
    -- an earlier version has no such columns
    to_jsonb(a) ->> 'pre_approval_id' is not null as is_beforehand,
    r.triggered_by,
    -- of a swap that may be taken back without a question
    l.recorded_at + (to_jsonb(a) ->> 'revert_minutes')::integer * interval '1 minute' as revertible_until,
    extract(epoch from l.recorded_at - l.locked_at) * 1000 as waited_ms,
    r.dag_id,
    r.dag_run_id
from cutover.ledger as l
inner join cutover.run as r on l.run = r.run
left join cutover.approvals as a on l.approval_id = a.approval_id
where l.migration = %(migration)s and l.recorded_at > clock_timestamp() - %(hours)s * interval '1 hour'

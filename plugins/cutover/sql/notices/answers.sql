-- Approvals of the last hours that others have to follow, with what is missing.
select
    q.run,
    q.dag_id,
    q.dag_run_id,
    q.task_id,
    q.action,
    q.dag_file,
    a.approval_id,
    a.approved_by as person,
    to_jsonb(a) ->> 'answers_for' as answers_for,
    to_jsonb(a) ->> 'comes_to' as comes_to
from cutover.question as q
inner join cutover.approvals as a on q.run = a.run and q.action = a.action
where
    q.migration = %(migration)s
    -- an earlier version has no such column
    and (to_jsonb(a) ->> 'completes')::boolean is false
    and a.recorded_at > clock_timestamp() - %(hours)s * interval '1 hour'
order by a.approval_id

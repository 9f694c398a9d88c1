-- Questions that were answered, or that nobody has answered in time.
select
    q.run,
    q.dag_id,
    q.dag_run_id,
    q.task_id,
    q.action,
    q.number,
    q.dag_file,
    coalesce(a.decision, 'expired') as decision,
    a.approved_by as person,
    a.answers_for,
    a.comes_to,
    a.is_beforehand
from cutover.question as q
left join lateral (
    select
        p.decision,
        p.approved_by,
        -- an earlier version has no such columns
        to_jsonb(p) ->> 'answers_for' as answers_for,
        to_jsonb(p) ->> 'comes_to' as comes_to,
        to_jsonb(p) ->> 'pre_approval_id' is not null as is_beforehand,
        p.recorded_at
    from cutover.approvals as p
    where
        p.run = q.run
        and p.recorded_at >= q.asked_at
        -- one that others have to follow decides nothing yet: notices/answers.sql
        and (to_jsonb(p) ->> 'completes')::boolean is not false
    order by p.approval_id desc
    limit 1
) as a on true
where
    q.migration = %(migration)s
    and coalesce(a.recorded_at, q.withdrawn_at) > clock_timestamp() - %(hours)s * interval '1 hour'
    and (a.decision is not null or q.withdrawn_for = 'approve.expired')

-- Every answer to the question of a run, in the order given.
select
    a.approval_id,
    a.action,
    a.decision,
    a.fingerprint,
    a.task_id,
    a.try_number,
    a.approved_by,
    a.triggered_by,
    a.comment,
    a.decided_at,
    a.expires_at,
    a.consumed_at,
    a.consumed_by,
    -- an earlier version has no such columns
    (to_jsonb(a) ->> 'revert_minutes')::integer as revert_minutes,
    (to_jsonb(a) ->> 'pre_approval_id')::bigint as pre_approval_id,
    to_jsonb(a) ->> 'answers_for' as answers_for,
    to_jsonb(a) ->> 'comes_to' as comes_to,
    (to_jsonb(a) ->> 'completes')::boolean as completes
from cutover.approvals as a
where a.run = %(run)s
order by a.approval_id

-- A second person's approval of what was previewed.
insert into cutover.approvals (
    run, action, decision, fingerprint, task_id, try_number, approved_by, decided_at, expires_at
)
select
    r.run,
    'announce' as action,
    'approve' as decision,
    r.fingerprint,
    'approve' as task_id,
    1 as try_number,
    'reviewer' as approved_by,
    now() as decided_at,
    now() + interval '1 hour' as expires_at
from cutover.run as r
where r.run = %(run)s
returning approval_id

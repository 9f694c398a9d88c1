-- The approval that this run has used up already, if it has begun.
select
    a.approval_id,
    a.fingerprint
from cutover.approvals as a
where a.run = %(run)s and a.action = %(action)s and a.consumed_by = %(consumer)s

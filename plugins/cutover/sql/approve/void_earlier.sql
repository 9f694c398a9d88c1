update cutover.approvals
set consumed_at = clock_timestamp(), consumed_by = %(by)s
where run = %(run)s and action = %(action)s and consumed_at is null
returning approval_id

update cutover.approvals
set consumed_at = clock_timestamp(), consumed_by = %(by)s
where
    run = %(run)s
    and action = %(action)s
    and consumed_at is null
    and (not %(only_over)s or (decision = 'approve' and expires_at <= clock_timestamp()))
returning approval_id

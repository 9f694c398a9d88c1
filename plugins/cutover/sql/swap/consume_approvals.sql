-- Takes the approvals of this run that count together, each once.
update cutover.approvals
set consumed_at = clock_timestamp(), consumed_by = %(consumer)s
where approval_id = any(%(numbers)s) and consumed_at is null
returning approval_id

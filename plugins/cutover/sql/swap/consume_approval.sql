-- Takes the approval of this run, once. Only the newest decision counts: whatever was said before a task was
-- cleared and asked again is void.
update cutover.approvals as a
set consumed_at = clock_timestamp(), consumed_by = %(consumer)s
where a.approval_id = (
        select n.approval_id
        from cutover.approvals as n
        where n.run = %(run)s and n.action = %(action)s
        order by n.approval_id desc
        limit 1
    )
    and a.decision = 'approve' and a.fingerprint = %(fingerprint)s and a.consumed_at is null
    and a.expires_at > clock_timestamp()
returning a.approval_id, a.approved_by

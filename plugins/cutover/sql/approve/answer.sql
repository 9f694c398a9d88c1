-- The newest answer to the question of a run that counts: not made void, and used up at most by this run itself.
select
    a.decision,
    a.fingerprint,
    a.approved_by as person,
    a.comment,
    a.decided_at,
    a.expires_at,
    a.expires_at <= clock_timestamp() and a.consumed_at is null as is_over
from cutover.approvals as a
where
    a.run = %(run)s
    and a.action = %(action)s
    and (
        a.consumed_at is null
        or a.approval_id = (select l.approval_id from cutover.ledger as l where l.run = a.run)
    )
order by a.approval_id desc
limit 1

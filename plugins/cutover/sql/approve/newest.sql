select
    *,
    expires_at <= clock_timestamp() as expired
from cutover.approvals
where run = %(run)s and action = %(action)s
order by approval_id desc
limit 1

select
    n.action,
    n.channel,
    n.recipient,
    n.error,
    n.noticed_at
from cutover.notice as n
where n.run = %(run)s
order by n.notice_id

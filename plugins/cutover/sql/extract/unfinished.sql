select
    sync_id,
    mode,
    because,
    api,
    account,
    declaration,
    until,
    started_at,
    error_code,
    waited
from cutover.sync
where
    source = %(source)s
    and state in ('running', 'failed')

select
    role,
    raw_table,
    raw_id,
    sync_id,
    page_no,
    request,
    fetched_at,
    gone_at,
    api_response
from cutover.origins(%(lineage)s, %(id)s)

select
    api,
    account,
    declaration,
    watermark,
    cursor_name,
    sweep,
    stored,
    last_sync
from cutover.sync_state
where source = %(source)s

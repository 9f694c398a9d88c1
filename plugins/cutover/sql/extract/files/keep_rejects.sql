insert into cutover.rejects (sync_id, file_id, source, source_id, reason, detail, source_row, source_bytes)
select
    %(sync_id)s as sync_id,
    %(file_id)s as file_id,
    %(source)s as source,
    r.source_id,
    r.reason,
    r.detail,
    r.source_row,
    r.source_bytes
from pg_temp.rejected as r

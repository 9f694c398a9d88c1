-- What became of a file's rows; its sync adds up its files.
with
read as (
    update cutover.sync_file set
        rows = %(rows)s,
        rejected = %(rejected)s,
        repeated = %(repeated)s,
        new = %(new)s,
        changed = %(changed)s,
        returned = %(returned)s
    where file_id = %(file_id)s
    returning sync_id
),

known as (
    update cutover.sync_state as k set stored = k.stored + %(new)s
    where k.source = %(source)s
)

update cutover.sync as s set
    pages = s.pages + 1,
    rows = s.rows + %(rows)s,
    rejected = s.rejected + %(rejected)s,
    repeated = s.repeated + %(repeated)s,
    new = s.new + %(new)s,
    changed = s.changed + %(changed)s,
    returned = s.returned + %(returned)s,
    unchanged = s.unchanged + %(unchanged)s,
    gone = s.gone + %(gone)s,
    received_bytes = s.received_bytes + %(size)s,
    first_id = coalesce(s.first_id, %(name)s),
    last_id = %(name)s
from read
where s.sync_id = read.sync_id

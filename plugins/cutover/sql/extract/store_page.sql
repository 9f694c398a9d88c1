-- The page and the position after it, in the transaction that stores its rows. No row comes back when another
-- process has moved the window on: then this transaction must not be committed.
with moved as (
    update cutover.sync_window set
        position = %(position)s,
        state = %(state)s,
        pages = pages + 1,
        rows = rows + %(rows)s
    where
        sync_id = %(sync_id)s
        and window_no = %(window_no)s
        and state = 'open'
        and pages = %(pages_before)s
    returning sync_id
)

insert into cutover.sync_page (
    sync_id, page_no, window_no, attempt, request, fetched_at, received_bytes,
    rows, new, changed, returned, rejected, adjusted, first_id, last_id, ids
)
select
    sync_id,
    %(page_no)s,
    %(window_no)s,
    %(attempt)s,
    %(request)s,
    %(fetched_at)s,
    %(received_bytes)s,
    %(rows)s,
    %(new)s,
    %(changed)s,
    %(returned)s,
    %(rejected)s,
    %(adjusted)s,
    %(first_id)s,
    %(last_id)s,
    %(ids)s
from moved
returning page_no

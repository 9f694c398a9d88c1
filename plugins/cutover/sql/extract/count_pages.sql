select
    coalesce(max(page_no), 0) as last_page_no,
    count(*) filter (where rows > 0) as pages
from cutover.sync_page
where sync_id = %(sync_id)s

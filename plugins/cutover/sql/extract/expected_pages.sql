-- How many pages the last complete sync of this kind had.
select pages
from cutover.sync
where
    source = %(source)s
    and mode = %(mode)s
    and state = 'complete'
order by sync_id desc
limit 1

-- Of an unchanged sync nothing is kept but its line in cutover.sync: no raw row came from these pages.
delete from cutover.sync_page
where
    sync_id = %(sync_id)s
    and new + changed + returned + rejected + adjusted = 0

update cutover.sync_page set ids = null
where
    sync_id = %(sync_id)s
    and ids is not null

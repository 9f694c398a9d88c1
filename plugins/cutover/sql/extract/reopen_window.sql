-- A window that was read to its end begins again at its top. What its pages brought stays.
update cutover.sync_window set
    position = %(position)s,
    state = 'open'
where
    sync_id = %(sync_id)s
    and window_no = %(window_no)s
    and state = 'complete'

update cutover.sync set
    state = 'abandoned',
    finished_at = clock_timestamp(),
    error = %(why)s
where sync_id = %(sync_id)s

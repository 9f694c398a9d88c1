update cutover.sync set
    state = 'running',
    resumed = resumed + 1,
    error_code = null,
    error = null
where sync_id = %(sync_id)s

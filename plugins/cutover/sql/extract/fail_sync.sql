update cutover.sync set
    state = 'failed',
    error_code = %(code)s,
    error = %(error)s
where
    sync_id = %(sync_id)s
    and state = 'running'

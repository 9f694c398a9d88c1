update cutover.sync set
    state = 'complete',
    finished_at = clock_timestamp(),
    rows = %(rows)s,
    new = %(new)s,
    changed = %(changed)s,
    returned = %(returned)s,
    gone = %(gone)s,
    unchanged = %(unchanged)s,
    total = %(total)s
where sync_id = %(sync_id)s
returning sync_id

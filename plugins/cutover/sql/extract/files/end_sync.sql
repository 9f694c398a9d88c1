update cutover.sync set
    state = 'complete',
    finished_at = clock_timestamp(),
    not_given = %(not_given)s,
    total = %(total)s
where sync_id = %(sync_id)s
returning
    mode,
    because,
    extract(epoch from finished_at - started_at)::double precision as seconds,
    pages as files,
    rows,
    repeated,
    new,
    changed,
    returned,
    unchanged,
    gone,
    rejected,
    received_bytes,
    total

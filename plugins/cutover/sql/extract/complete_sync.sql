update cutover.sync set
    state = 'complete',
    finished_at = clock_timestamp(),
    gone = %(gone)s,
    total = %(total)s
where
    sync_id = %(sync_id)s
    and state = 'running'
returning
    mode,
    because,
    extract(epoch from finished_at - started_at)::double precision as seconds,
    resumed,
    pages,
    rows,
    repeated,
    new,
    changed,
    returned,
    unchanged,
    gone,
    rejected,
    adjusted,
    requests,
    retries,
    received_bytes,
    waited,
    clock_ahead,
    first_id,
    last_id,
    not_given,
    total

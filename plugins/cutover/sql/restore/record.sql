-- What was restored. From now on the request names nobody.
update cutover.restoration
set
    subject = null,
    run = %(run)s,
    source = %(source)s,
    backup_schema = %(backup_schema)s,
    fingerprint = %(fingerprint)s,
    approved_by = %(by)s,
    counts = %(counts)s,
    certificate = %(certificate)s,
    restored_at = clock_timestamp()
where restoration_id = %(number)s

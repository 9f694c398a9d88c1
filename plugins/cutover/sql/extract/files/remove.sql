update cutover.sync_file set removed_at = clock_timestamp()
where
    file_id = any(%(file_ids)s)
    and removed_at is null

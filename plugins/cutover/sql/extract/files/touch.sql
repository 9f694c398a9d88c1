-- The same bytes under another time, or back in the folder.
update cutover.sync_file set
    size = %(size)s,
    stamp = %(stamp)s,
    removed_at = null
where file_id = %(file_id)s

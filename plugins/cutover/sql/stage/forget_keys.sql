delete from cutover.released_key where backup_schema = %(schema)s

insert into cutover.sync_file (source, name, sync_id, page_no, path, size, stamp, digest, declaration)
values (
    %(source)s, %(name)s, %(sync_id)s, %(page_no)s, %(path)s, %(size)s, %(stamp)s, %(digest)s, %(declaration)s
)
returning file_id

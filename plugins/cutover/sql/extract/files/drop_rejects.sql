-- What earlier versions of the file had wrong is not what it has wrong now; nor is what earlier whole lists had.
delete from cutover.rejects
where
    run is null
    and file_id in (
        select f.file_id
        from cutover.sync_file as f
        where f.source = %(source)s and (f.name = %(name)s or %(whole)s)
    )

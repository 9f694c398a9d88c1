-- A row that was kept although PostgreSQL refuses a part of it; said once for the same content.
insert into cutover.sync_adjustment (sync_id, page_no, source, source_id, change, received)
select
    %(sync_id)s,
    %(page_no)s,
    %(source)s,
    %(source_id)s,
    %(change)s,
    %(received)s
where
    not exists (
        select 1
        from cutover.sync_adjustment as earlier
        where
            earlier.source = %(source)s
            and earlier.source_id = %(source_id)s
            and earlier.received = %(received)s
    )

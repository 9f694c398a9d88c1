-- A row that cannot be stored, whole: as JSON where PostgreSQL can hold it, else as the bytes received.
-- The same row with the same content is said once, not every hour.
insert into cutover.rejects (sync_id, source, source_id, reason, detail, source_row, source_bytes)
select
    %(sync_id)s,
    %(source)s,
    %(source_id)s,
    %(reason)s,
    %(detail)s,
    %(source_row)s::jsonb,
    %(source_bytes)s
where
    not exists (
        select 1
        from cutover.rejects as earlier
        where
            earlier.source = %(source)s
            and earlier.source_id is not distinct from %(source_id)s
            and earlier.source_row is not distinct from %(source_row)s::jsonb
            and earlier.source_bytes is not distinct from %(source_bytes)s
    )

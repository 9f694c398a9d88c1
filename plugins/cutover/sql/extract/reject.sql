-- A row that cannot be stored, whole: as JSON where PostgreSQL can hold it, else as the bytes received.
-- The same row with the same content is said once, not every hour; `sync_id` is the last sync that was shown it.
with shown_again as (
    update cutover.rejects as earlier
    set sync_id = %(sync_id)s
    where
        earlier.run is null
        and earlier.source = %(source)s
        and earlier.source_id is not distinct from %(source_id)s
        and earlier.source_row is not distinct from %(source_row)s::jsonb
        and earlier.source_bytes is not distinct from %(source_bytes)s
    returning earlier.reject_id
)

insert into cutover.rejects (sync_id, source, source_id, reason, detail, source_row, source_bytes)
select
    %(sync_id)s,
    %(source)s,
    %(source_id)s,
    %(reason)s,
    %(detail)s,
    %(source_row)s::jsonb,
    %(source_bytes)s
where not exists (select from shown_again)

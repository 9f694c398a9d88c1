-- Rejected rows of a person: that there was one and why stays, what it was does not.
update cutover.rejects as t
set
    source_row = null,
    source_bytes = null,
    detail = null,
    source_id = case when lower(t.source_id) ~ %(mention)s then null else t.source_id end,
    erased_at = clock_timestamp()
where t.erased_at is null and {condition}

-- Rows that the last complete scan was shown and could not store: they were read, and nothing else knows of them. One
-- whose earlier form raw still has is not among them: that form is read, and a warning names it.
create table input.unreadable as
select distinct on (r.source, coalesce(r.source_id, r.reject_id::text))
    r.source,
    r.source_id,
    r.reason,
    r.detail,
    r.sync_id,
    r.source_row,
    r.source_bytes,
    held.source_id is not null as has_earlier_form
from cutover.rejects as r
inner join cutover.sync_state as s on r.source = s.source and r.sync_id between s.last_full_sync and s.last_sync
left join (
    select
        'xendit_invoices' as source,
        id as source_id,
        sync_id
    from raw.xendit_invoices
    where gone_at is null
    union all
    select
        'xendit_transactions' as source,
        id as source_id,
        sync_id
    from raw.xendit_transactions
    where gone_at is null
    union all
    select
        'systemeio_contacts' as source,
        id::text as source_id,
        sync_id
    from raw.systemeio_contacts
    where gone_at is null
    union all
    select
        'systemeio_tags' as source,
        id::text as source_id,
        sync_id
    from raw.systemeio_tags
    where gone_at is null
) as held on r.source = held.source and r.source_id = held.source_id
where
    r.run is null
    and r.source in ('xendit_invoices', 'xendit_transactions', 'systemeio_contacts', 'systemeio_tags')
    -- stored again since: it was mended at its source
    and (held.sync_id is null or held.sync_id < r.sync_id)
order by r.source asc, coalesce(r.source_id, r.reject_id::text) asc, r.reject_id desc;

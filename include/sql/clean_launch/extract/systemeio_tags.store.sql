-- Fetched rows into raw.systemeio_tags: new ones, and those whose content is another than the one stored.
insert into raw.systemeio_tags as stored (
    id,
    name,
    created_at,
    api_response,
    content_hash,
    sync_id,
    page_no,
    api_synced_at
)
select
    id::bigint as id,
    api_response ->> 'name' as name,
    (api_response ->> 'createdAt')::timestamptz as created_at,
    api_response,
    content_hash,
    %(sync_id)s as sync_id,
    page_no,
    now() as api_synced_at
from
    unnest(
        %(ids)s,
        %(content_hashes)s,
        %(page_nos)s::integer[],
        %(responses)s
    ) as fetched (id, content_hash, page_no, api_response)
on conflict (id) do update
    set
        name = excluded.name,
        created_at = excluded.created_at,
        api_response = excluded.api_response,
        content_hash = excluded.content_hash,
        sync_id = excluded.sync_id,
        page_no = excluded.page_no,
        api_synced_at = excluded.api_synced_at,
        gone_at = null
    where
    stored.gone_at is not null
    or excluded.api_response is distinct from stored.api_response
returning id::text, xmax = 0 as new

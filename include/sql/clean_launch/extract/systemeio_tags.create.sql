-- GET /api/tags, as last seen.
create table if not exists raw.systemeio_tags (
    id bigint primary key,
    name text,
    created_at timestamptz,
    api_response jsonb not null,
    -- of the response as received: the next sync compares with this before it sends anything
    content_hash bytea not null,
    -- the sync and the page that stored this version: cutover.sync_page has the request
    sync_id bigint not null,
    page_no integer not null,
    api_synced_at timestamptz not null,
    -- since when a complete scan no longer finds it
    gone_at timestamptz
);

-- What a batch of pages brought, before it goes into the raw table.
create temporary table if not exists fetched (
    id text not null,
    content_hash bytea not null,
    sync_id bigint not null,
    page_no integer not null,
    api_synced_at timestamptz not null,
    api_response jsonb not null
) on commit delete rows

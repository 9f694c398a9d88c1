-- GET /api/contacts, as last seen. Values as given: nothing is normalised here.
create table if not exists raw.systemeio_contacts (
    id bigint primary key,
    email text,
    first_name text,
    surname text,
    phone_number text,
    -- names, sorted
    tags text[],
    registered_at timestamptz,
    locale text,
    source_url text,
    unsubscribed boolean,
    bounced boolean,
    needs_confirmation boolean,
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

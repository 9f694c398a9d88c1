-- GET /v2/invoices, as last seen. Values as given: nothing is normalised here.
create table if not exists raw.xendit_invoices (
    id text primary key,
    external_id text,
    status text,
    amount numeric,
    paid_amount numeric,
    currency text,
    description text,
    payer_email text,
    customer jsonb,
    payment_method text,
    payment_channel text,
    created timestamptz,
    updated timestamptz,
    paid_at timestamptz,
    expiry_date timestamptz,
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

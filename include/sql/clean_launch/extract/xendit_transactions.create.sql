-- GET /transactions, as last seen. Values as given: nothing is normalised here.
create table if not exists raw.xendit_transactions (
    id text primary key,
    type text,
    status text,
    channel_category text,
    channel_code text,
    reference_id text,
    product_id text,
    -- the invoice that this movement belongs to, where Xendit says so
    payment_link_id text,
    currency text,
    amount numeric,
    net_amount numeric,
    cashflow text,
    settlement_status text,
    -- Xendit's fee with the taxes on it; null where the response has no `fee` at all
    fee_amount numeric,
    estimated_settlement_time timestamptz,
    created timestamptz,
    updated timestamptz,
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

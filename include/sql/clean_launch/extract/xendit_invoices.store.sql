-- Fetched rows into raw.xendit_invoices: new ones, and those whose content is another than the one stored.
insert into raw.xendit_invoices as stored (
    id,
    external_id,
    status,
    amount,
    paid_amount,
    currency,
    description,
    payer_email,
    customer,
    payment_method,
    payment_channel,
    created,
    updated,
    paid_at,
    expiry_date,
    api_response,
    content_hash,
    sync_id,
    page_no,
    api_synced_at
)
select
    id,
    api_response ->> 'external_id' as external_id,
    api_response ->> 'status' as status,
    (api_response ->> 'amount')::numeric as amount,
    (api_response ->> 'paid_amount')::numeric as paid_amount,
    api_response ->> 'currency' as currency,
    api_response ->> 'description' as description,
    api_response ->> 'payer_email' as payer_email,
    nullif(api_response -> 'customer', 'null') as customer,
    api_response ->> 'payment_method' as payment_method,
    api_response ->> 'payment_channel' as payment_channel,
    (api_response ->> 'created')::timestamptz as created,
    (api_response ->> 'updated')::timestamptz as updated,
    (api_response ->> 'paid_at')::timestamptz as paid_at,
    (api_response ->> 'expiry_date')::timestamptz as expiry_date,
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
        external_id = excluded.external_id,
        status = excluded.status,
        amount = excluded.amount,
        paid_amount = excluded.paid_amount,
        currency = excluded.currency,
        description = excluded.description,
        payer_email = excluded.payer_email,
        customer = excluded.customer,
        payment_method = excluded.payment_method,
        payment_channel = excluded.payment_channel,
        created = excluded.created,
        updated = excluded.updated,
        paid_at = excluded.paid_at,
        expiry_date = excluded.expiry_date,
        api_response = excluded.api_response,
        content_hash = excluded.content_hash,
        sync_id = excluded.sync_id,
        page_no = excluded.page_no,
        api_synced_at = excluded.api_synced_at,
        gone_at = null
    where
    stored.gone_at is not null
    or (
        -- an answer that was on its way for long must not undo a later one
        (excluded.updated >= stored.updated) is not false
        and excluded.api_response is distinct from stored.api_response
    )
returning id::text, xmax = 0 as new

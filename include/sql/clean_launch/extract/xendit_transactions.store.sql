-- Fetched rows into raw.xendit_transactions: new ones, and those whose content is another than the one stored.
insert into raw.xendit_transactions as stored (
    id,
    type,
    status,
    channel_category,
    channel_code,
    reference_id,
    product_id,
    payment_link_id,
    currency,
    amount,
    net_amount,
    cashflow,
    settlement_status,
    fee_amount,
    estimated_settlement_time,
    created,
    updated,
    api_response,
    content_hash,
    sync_id,
    page_no,
    api_synced_at
)
select
    id,
    api_response ->> 'type' as type,
    api_response ->> 'status' as status,
    api_response ->> 'channel_category' as channel_category,
    api_response ->> 'channel_code' as channel_code,
    api_response ->> 'reference_id' as reference_id,
    api_response ->> 'product_id' as product_id,
    api_response #>> '{product_data, payment_link_id}' as payment_link_id,
    api_response ->> 'currency' as currency,
    (api_response ->> 'amount')::numeric as amount,
    (api_response ->> 'net_amount')::numeric as net_amount,
    api_response ->> 'cashflow' as cashflow,
    api_response ->> 'settlement_status' as settlement_status,
    case
        when jsonb_typeof(api_response -> 'fee') = 'object'
            then coalesce((api_response #>> '{fee, xendit_fee}')::numeric, 0)
                + coalesce((api_response #>> '{fee, value_added_tax}')::numeric, 0)
                + coalesce((api_response #>> '{fee, xendit_withholding_tax}')::numeric, 0)
                + coalesce((api_response #>> '{fee, third_party_withholding_tax}')::numeric, 0)
    end as fee_amount,
    (api_response ->> 'estimated_settlement_time')::timestamptz as estimated_settlement_time,
    (api_response ->> 'created')::timestamptz as created,
    (api_response ->> 'updated')::timestamptz as updated,
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
        type = excluded.type,
        status = excluded.status,
        channel_category = excluded.channel_category,
        channel_code = excluded.channel_code,
        reference_id = excluded.reference_id,
        product_id = excluded.product_id,
        payment_link_id = excluded.payment_link_id,
        currency = excluded.currency,
        amount = excluded.amount,
        net_amount = excluded.net_amount,
        cashflow = excluded.cashflow,
        settlement_status = excluded.settlement_status,
        fee_amount = excluded.fee_amount,
        estimated_settlement_time = excluded.estimated_settlement_time,
        created = excluded.created,
        updated = excluded.updated,
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

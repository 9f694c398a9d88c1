-- Source rows that cannot be used, whole, with the reason. A new try of the same run replaces its own rows.
with
replaced as (
    delete from cutover.rejects
    where
        run = %(run)s
        and reason in (
            'invalid_email', 'invalid_amount', 'invalid_currency', 'invalid_time', 'unknown_status',
            'refund_without_payment', 'other_currency', 'unknown_cashflow', 'unreadable', 'unstorable', 'no_id'
        )
),

rejected as (
    select
        'xendit_invoices' as source,
        source.id as source_id,
        invoice.reason,
        case invoice.reason
            when 'unknown_status' then 'the status is ' || coalesce(source.status, 'missing')
            when 'invalid_email' then 'neither payer_email nor customer.email is a usable address'
            when 'invalid_amount' then 'paid_amount or amount is missing, negative or too large'
            when 'invalid_currency' then 'currency is no code of three letters'
            when 'invalid_time' then 'created, updated or expiry_date is no time that can have been'
        end as detail,
        source.sync_id,
        source.api_response,
        null::bytea as source_bytes
    from input.invoice as invoice
    inner join input.xendit_invoices as source on invoice.id = source.id
    where invoice.fate = 'rejected'
    union all
    select
        'systemeio_contacts' as source,
        source.id::text as source_id,
        'invalid_email' as reason,
        'email is not a usable address' as detail,
        source.sync_id,
        source.api_response,
        null::bytea as source_bytes
    from input.contact as contact
    inner join input.systemeio_contacts as source on contact.id = source.id
    where contact.email_key is null
    union all
    select
        'xendit_transactions' as source,
        source.id as source_id,
        refund.reason,
        case refund.reason
            when 'refund_without_payment'
                then 'no paid invoice that this ' || source.type || ' undoes is found by product_data.payment_link_id, '
                    || 'product_id or reference_id'
            when 'invalid_amount' then 'amount is missing, zero or too large'
            when 'other_currency' then 'currency is not that of the invoice'
            when 'unknown_cashflow' then 'cashflow is neither MONEY_OUT nor MONEY_IN'
        end as detail,
        source.sync_id,
        source.api_response,
        null::bytea as source_bytes
    from input.refund as refund
    inner join input.xendit_transactions as source on refund.transaction_id = source.id
    where refund.reason is not null
    union all
    select
        'xendit_transactions' as source,
        source.id as source_id,
        movement.reason,
        case movement.reason
            when 'invalid_amount' then 'amount is missing, not above zero or too large'
            when 'invalid_currency' then 'currency is no code of three letters'
        end as detail,
        source.sync_id,
        source.api_response,
        null::bytea as source_bytes
    from input.movement as movement
    inner join input.xendit_transactions as source on movement.id = source.id
    where movement.type = 'PAYMENT' and movement.fate = 'rejected'
    union all
    -- refused when they were read: not in the raw table, and read all the same
    select
        unreadable.source,
        unreadable.source_id,
        unreadable.reason,
        unreadable.detail,
        unreadable.sync_id,
        unreadable.source_row as api_response,
        unreadable.source_bytes
    from input.unreadable as unreadable
    where not unreadable.has_earlier_form
)

insert into cutover.rejects (run, sync_id, source, source_id, reason, detail, source_row, source_bytes)
select
    %(run)s as run,
    sync_id,
    source,
    source_id,
    reason,
    detail,
    api_response as source_row,
    source_bytes
from rejected
order by source asc, source_id asc

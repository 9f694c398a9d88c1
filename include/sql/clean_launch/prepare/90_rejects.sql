-- Source rows that cannot be used, whole, with the reason. A new try of the same run replaces its own rows.
with
replaced as (
    delete from cutover.rejects
    where
        run = %(run)s
        and reason in ('invalid_email', 'invalid_amount', 'unknown_status', 'refund_without_payment')
),

rejected as (
    select
        'xendit_invoices' as source,
        source.id as source_id,
        invoice.reason,
        case invoice.reason
            when 'unknown_status' then 'the status is ' || coalesce(source.status, 'missing')
            when 'invalid_email' then 'neither payer_email nor customer.email is a usable address'
            when 'invalid_amount' then 'the amount is missing, negative, too large or finer than a cent'
        end as detail,
        source.sync_id,
        source.api_response
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
        source.api_response
    from input.contact as contact
    inner join input.systemeio_contacts as source on contact.id = source.id
    where contact.email_key is null
    union all
    select
        'xendit_transactions' as source,
        source.id as source_id,
        'refund_without_payment' as reason,
        'no paid invoice that this ' || source.type || ' undoes is known' as detail,
        source.sync_id,
        source.api_response
    from input.refund as refund
    inner join input.xendit_transactions as source on refund.transaction_id = source.id
    where refund.invoice_id is null
)

insert into cutover.rejects (run, sync_id, source, source_id, reason, detail, source_row)
select
    %(run)s as run,
    sync_id,
    source,
    source_id,
    reason,
    detail,
    api_response as source_row
from rejected
order by source asc, source_id asc

-- The invoice and all its payments; money that went back; for one paid by hand, the contact whose tag says so.
with
target as (
    select
        t.id,
        t.xendit_invoice_id,
        t.xendit_transaction_id,
        t.transaction_type,
        p.systemeio_id
    from public.transactions as t
    left join public.unified_profiles as p on t.user_id = p.id
    where t.id = $1::uuid
)

select
    'xendit_invoices' as raw_table,
    xendit_invoice_id as raw_id,
    'invoice' as role
from target
where xendit_invoice_id is not null
union all
select
    'xendit_transactions' as raw_table,
    xendit_transaction_id as raw_id,
    'payment' as role
from target
where xendit_transaction_id is not null
union all
select
    'xendit_transactions' as raw_table,
    further.id as raw_id,
    case when further.status = 'SUCCESS' then 'further payment' else 'payment that went back' end as role
from target
inner join raw.xendit_invoices as invoice on target.xendit_invoice_id = invoice.id
inner join raw.xendit_transactions as further
    on
        further.type = 'PAYMENT'
        and further.status in ('SUCCESS', 'REVERSED', 'VOIDED')
        and further.id is distinct from target.xendit_transaction_id
        and (
            further.payment_link_id = invoice.id
            or (
                further.reference_id = invoice.external_id
                and not exists (select from raw.xendit_invoices as named where named.id = further.payment_link_id)
            )
        )
union all
select
    'xendit_transactions' as raw_table,
    returned.id as raw_id,
    lower(returned.type) as role
from target
inner join raw.xendit_invoices as invoice on target.xendit_invoice_id = invoice.id
left join raw.xendit_transactions as payment on target.xendit_transaction_id = payment.id
inner join raw.xendit_transactions as returned
    on
        returned.type in ('REFUND', 'CHARGEBACK')
        and (
            returned.payment_link_id = invoice.id
            or returned.product_id = payment.product_id
            or (
                returned.reference_id = invoice.external_id
                and not exists (select from raw.xendit_invoices as named where named.id = returned.payment_link_id)
            )
        )
union all
select
    'systemeio_contacts' as raw_table,
    systemeio_id as raw_id,
    'contact with the tag' as role
from target
where
    transaction_type = 'manual'
    and systemeio_id is not null

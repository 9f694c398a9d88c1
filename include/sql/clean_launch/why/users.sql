-- An account: what its profile comes from.
with
target as (
    select
        email,
        systemeio_id
    from public.unified_profiles
    where id = $1::uuid
)

select
    'systemeio_contacts' as raw_table,
    contact.id::text as raw_id,
    case when contact.id::text = target.systemeio_id then 'contact' else 'merged contact' end as role
from target
inner join raw.systemeio_contacts as contact
    on
        contact.id::text = target.systemeio_id
        or cutover.email_key(contact.email) = target.email
union all
select
    'xendit_invoices' as raw_table,
    invoice.id as raw_id,
    'invoice' as role
from target
inner join raw.xendit_invoices as invoice
    on
        -- the first of the two addresses that can be used, as the transform has it
        coalesce(cutover.email_key(invoice.payer_email), cutover.email_key(invoice.customer ->> 'email')) = target.email
        -- or under an address of before
        or invoice.id in (
            select t.xendit_invoice_id
            from public.transactions as t
            where t.user_id = $1::uuid
        )

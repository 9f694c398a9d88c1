-- The contact, the contacts merged into it, and the invoices that made a customer of the lead.
with
target as (
    select
        email,
        stage,
        systemeio_id,
        merged_systemeio_ids
    from public.leads
    where id = $1::uuid
)

select
    'systemeio_contacts' as raw_table,
    systemeio_id as raw_id,
    'contact' as role
from target
union all
select
    'systemeio_contacts' as raw_table,
    merged.systemeio_id as raw_id,
    'merged contact' as role
from target
cross join lateral unnest(target.merged_systemeio_ids) as merged (systemeio_id)
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
            inner join public.unified_profiles as p on t.user_id = p.id
            where p.systemeio_id = target.systemeio_id
        )
where
    target.stage = 'customer'
    and invoice.status in ('PAID', 'SETTLED')

-- The contact that carries the tag of affiliates, and what made a customer of somebody who was an affiliate before.
with
target as (
    select
        affiliate.user_id,
        profile.systemeio_id
    from public.affiliates as affiliate
    inner join public.unified_profiles as profile on affiliate.user_id = profile.id
    where affiliate.id = $1::uuid
)

select
    'systemeio_contacts' as raw_table,
    systemeio_id as raw_id,
    'contact' as role
from target
where systemeio_id is not null
union all
select
    'xendit_invoices' as raw_table,
    t.xendit_invoice_id as raw_id,
    'invoice' as role
from target
inner join public.transactions as t on target.user_id = t.user_id
where
    target.systemeio_id is null
    and t.xendit_invoice_id is not null

-- The payment that the enrolment stands for, and the contact whose tag names the product.
with
target as (
    select
        t.xendit_invoice_id,
        t.xendit_transaction_id,
        p.systemeio_id
    from public.enrollments as e
    left join public.transactions as t on e.transaction_id = t.id
    left join public.unified_profiles as p on e.user_id = p.id
    where e.id = $1::uuid
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
    'systemeio_contacts' as raw_table,
    systemeio_id as raw_id,
    'contact' as role
from target
where systemeio_id is not null

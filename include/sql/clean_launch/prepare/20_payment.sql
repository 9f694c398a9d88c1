-- Which PAYMENT transaction paid which invoice: by the invoice's id in the transaction, else by the merchant's
-- reference. One invoice has at most one, and one transaction pays at most one invoice.
-- A reference need not be unique: where several invoices share it, they are paired in the order of time.
drop table if exists input.payment;

create table input.payment as
with
paid_invoice as (
    select
        id,
        external_id,
        coalesce(paid_at, created) as paid_at
    from input.xendit_invoices
    where status in ('PAID', 'SETTLED')
),

candidate as (
    select
        id,
        payment_link_id,
        reference_id,
        created,
        status = 'SUCCESS' as succeeded
    from input.xendit_transactions
    where
        type = 'PAYMENT'
        and status not in ('FAILED', 'VOIDED')
),

linked as (
    select distinct on (i.id)
        i.id as invoice_id,
        c.id as transaction_id
    from paid_invoice as i
    inner join candidate as c on i.id = c.payment_link_id
    order by i.id asc, c.succeeded desc, c.created asc, c.id asc
),

unlinked_invoice as (
    select
        id,
        external_id,
        row_number() over (partition by external_id order by paid_at asc, id asc) as place
    from paid_invoice
    where
        external_id is not null
        and not exists (select from linked where linked.invoice_id = paid_invoice.id)
),

-- A transaction that names another invoice belongs to that one, whatever its reference says.
unlinked_candidate as (
    select
        id,
        reference_id,
        row_number() over (partition by reference_id order by succeeded desc, created asc, id asc) as place
    from candidate
    where
        reference_id is not null
        and not exists (select from input.xendit_invoices as i where i.id = candidate.payment_link_id)
)

select
    invoice_id,
    transaction_id
from linked
union all
select
    i.id as invoice_id,
    c.id as transaction_id
from unlinked_invoice as i
inner join unlinked_candidate as c on i.external_id = c.reference_id and i.place = c.place;

alter table input.payment add primary key (invoice_id);
alter table input.payment add unique (transaction_id);
analyze input.payment;

-- Money that went back: refunds and chargebacks that succeeded, with the staged invoice whose payment they undo;
-- null where none is found (rejected as refund_without_payment). The invoice's id in the transaction comes first,
-- then the payment's product id, then the merchant's reference; the latest payment made before it where several fit.
drop table if exists input.refund;

create table input.refund as
with returned as (
    select
        id,
        type,
        payment_link_id,
        product_id,
        reference_id,
        created,
        abs(amount) as amount
    from input.xendit_transactions
    where
        type in ('REFUND', 'CHARGEBACK')
        and status = 'SUCCESS'
        -- a chargeback that was won back brings money in again
        and cashflow is distinct from 'MONEY_IN'
),

fitting as (
    select
        returned.id as transaction_id,
        invoice.id as invoice_id,
        invoice.paid_at,
        1 as preference
    from returned
    inner join input.invoice as invoice on returned.payment_link_id = invoice.id
    where invoice.fate = 'staged'
    union all
    select
        returned.id as transaction_id,
        invoice.id as invoice_id,
        invoice.paid_at,
        2 as preference
    from returned
    inner join input.xendit_transactions as payment
        on returned.product_id = payment.product_id and payment.type = 'PAYMENT'
    inner join input.invoice as invoice on payment.id = invoice.payment_id
    where invoice.fate = 'staged'
    union all
    select
        returned.id as transaction_id,
        invoice.id as invoice_id,
        invoice.paid_at,
        3 as preference
    from returned
    inner join input.xendit_invoices as source on returned.reference_id = source.external_id
    inner join input.invoice as invoice on source.id = invoice.id
    where
        invoice.fate = 'staged'
        -- a refund that names another invoice belongs to that one, whatever its reference says
        and not exists (select from input.xendit_invoices as named where named.id = returned.payment_link_id)
)

select distinct on (returned.id)
    returned.id as transaction_id,
    returned.type,
    returned.amount,
    returned.created,
    fitting.invoice_id
from returned
left join fitting on returned.id = fitting.transaction_id
order by
    returned.id asc,
    fitting.preference asc,
    (fitting.paid_at <= returned.created) desc,
    fitting.paid_at desc,
    fitting.invoice_id asc;

alter table input.refund add primary key (transaction_id);
create index on input.refund (invoice_id);
analyze input.refund;

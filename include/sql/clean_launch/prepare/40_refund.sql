-- Money that went back, and came again: refunds and chargebacks that succeeded, signed (a chargeback that was won
-- brings its money back), with the staged invoice whose payment they undo; null where none is found. The invoice's
-- id in the transaction comes first, then the payment's product id, then the merchant's reference; of several that
-- fit the one of the same amount, then the latest payment made before it. `reason`: why it is rejected.
drop table if exists input.refund;

create table input.refund as
with
returned as (
    select
        id,
        type,
        payment_link_id,
        product_id,
        reference_id,
        created,
        upper(btrim(currency)) as currency,
        coalesce(cashflow in ('MONEY_IN', 'MONEY_OUT'), false) as is_signed,
        case when cashflow = 'MONEY_IN' then -abs(amount) else abs(amount) end as amount
    from input.xendit_transactions
    where
        type in ('REFUND', 'CHARGEBACK')
        and status = 'SUCCESS'
),

fitting as (
    select
        returned.id as transaction_id,
        invoice.id as invoice_id,
        invoice.paid_at,
        invoice.received = abs(returned.amount) as is_of_this_amount,
        1 as preference
    from returned
    inner join input.invoice as invoice on returned.payment_link_id = invoice.id
    where invoice.fate = 'staged'
    union all
    select
        returned.id as transaction_id,
        invoice.id as invoice_id,
        invoice.paid_at,
        payment.amount = abs(returned.amount) as is_of_this_amount,
        2 as preference
    from returned
    inner join input.xendit_transactions as payment
        on returned.product_id = payment.product_id and payment.type = 'PAYMENT'
    inner join input.payment as paired on payment.id = paired.transaction_id
    inner join input.invoice as invoice on paired.invoice_id = invoice.id
    where invoice.fate = 'staged'
    union all
    select
        returned.id as transaction_id,
        invoice.id as invoice_id,
        invoice.paid_at,
        invoice.received = abs(returned.amount) as is_of_this_amount,
        3 as preference
    from returned
    inner join input.xendit_invoices as source on returned.reference_id = source.external_id
    inner join input.invoice as invoice on source.id = invoice.id
    where
        invoice.fate = 'staged'
        -- a refund that names another invoice belongs to that one, whatever its reference says
        and not exists (select from input.xendit_invoices as named where named.id = returned.payment_link_id)
),

chosen as (
    select distinct on (returned.id)
        returned.id as transaction_id,
        returned.type,
        returned.amount,
        returned.created,
        returned.currency,
        returned.is_signed,
        fitting.invoice_id
    from returned
    left join fitting on returned.id = fitting.transaction_id
    order by
        returned.id asc,
        fitting.preference asc,
        coalesce(fitting.paid_at <= returned.created, false) desc,
        coalesce(fitting.is_of_this_amount, false) desc,
        fitting.paid_at desc nulls last,
        fitting.invoice_id asc
),

judged as (
    select
        chosen.*,
        case
            when not chosen.is_signed then 'unknown_cashflow'
            when chosen.invoice_id is null then 'refund_without_payment'
            when not cutover.holds(chosen.amount) or chosen.amount = 0 then 'invalid_amount'
            when coalesce(chosen.currency, invoice.currency) <> invoice.currency then 'other_currency'
        end as reason
    from chosen
    left join input.invoice as invoice on chosen.invoice_id = invoice.id
)

select
    transaction_id,
    type,
    amount,
    created,
    case when reason is null then invoice_id end as invoice_id,
    reason
from judged;

alter table input.refund add primary key (transaction_id);
create index on input.refund (invoice_id);
analyze input.refund;

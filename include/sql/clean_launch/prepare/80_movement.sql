-- Every Xendit transaction and what becomes of it. The payments of an invoice are merged into its transaction,
-- money that went back into the transaction it came from; everything else is left out by a rule with a name, or
-- rejected.
drop table if exists input.movement;

create table input.movement as
with
-- Payments that say that money came, and not how much, or in what.
unusable as (
    select
        id,
        case when cutover.holds(amount) and amount > 0 then 'invalid_currency' else 'invalid_amount' end as reason
    from input.xendit_transactions
    where
        type = 'PAYMENT'
        and status = 'SUCCESS'
        and not cutover.is_sum(amount, currency)
),

unpaired as (
    select
        id,
        payment_link_id,
        reference_id
    from input.xendit_transactions
    where
        type = 'PAYMENT'
        and not exists (select from input.payment where payment.transaction_id = xendit_transactions.id)
),

-- The invoice that such a payment names, else one that shares its reference, a paid one before an unpaid one.
related as (
    select distinct on (found.id)
        found.id,
        found.fate
    from (
        select
            unpaired.id,
            invoice.fate,
            1 as preference
        from unpaired
        inner join input.invoice as invoice on unpaired.payment_link_id = invoice.id
        union all
        select
            unpaired.id,
            invoice.fate,
            2 as preference
        from unpaired
        inner join input.xendit_invoices as source on unpaired.reference_id = source.external_id
        inner join input.invoice as invoice on source.id = invoice.id
    ) as found
    order by found.id asc, found.preference asc, (found.fate = 'left_out') asc
)

select
    t.id,
    t.type,
    case
        when paid.fate = 'staged' or refund.invoice_id is not null then 'merged'
        when refund.reason is not null or unusable.reason is not null then 'rejected'
        else 'left_out'
    end as fate,
    case
        when paid.fate = 'staged' and payment.status <> 'SUCCESS' then 'payment that went back'
        when paid.fate = 'staged' and payment.status = 'SUCCESS' and not payment.counts
            then 'payment in another currency than the invoice'
        when paid.fate = 'staged' and payment.place > 1 then 'second payment of an invoice'
        when paid.fate = 'staged' then 'payment of an invoice'
        when refund.invoice_id is not null and refund.amount < 0 then lower(t.type) || ' that brought money in'
        when refund.invoice_id is not null then lower(t.type) || ' of a transaction'
        when refund.reason is not null then refund.reason
        when unusable.reason is not null then unusable.reason
        when t.type = 'PAYMENT' and (t.status is distinct from 'SUCCESS') and payment.transaction_id is null
            then 'payment ' || coalesce(t.status, 'without a status')
        when paid.fate is not null then 'payment of a rejected invoice'
        when t.type = 'PAYMENT' and related.fate = 'left_out' then 'payment of an unpaid invoice'
        when t.type = 'PAYMENT' and related.fate is not null then 'payment beside those that name the invoice'
        when t.type = 'PAYMENT' then 'payment without an invoice'
        when t.type in ('REFUND', 'CHARGEBACK') then lower(t.type) || ' ' || coalesce(t.status, 'without a status')
        else 'type ' || coalesce(t.type, 'missing')
    end as reason
from input.xendit_transactions as t
left join input.payment as payment on t.id = payment.transaction_id
left join input.invoice as paid on payment.invoice_id = paid.id
left join input.refund as refund on t.id = refund.transaction_id
left join unusable on t.id = unusable.id
left join related on t.id = related.id;

alter table input.movement add primary key (id);
analyze input.movement;

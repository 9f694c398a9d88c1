-- Every invoice: who paid, what for, how much, and what becomes of it (`fate`: staged, left_out, rejected, and why).
-- `received` is all that came in for it, `extra` what came beyond what was due (it was paid twice), `reversed` what its
-- only payment took back itself.
drop table if exists input.invoice;

create table input.invoice as
with
pattern as materialized (
    select
        product_type,
        priority,
        cutover.folded(description_pattern) as folded
    from input.product
),

paid as (
    select
        payment.invoice_id,
        count(*) filter (where payment.status = 'SUCCESS' and payment.counts) as payments,
        sum(t.amount) filter (where payment.status = 'SUCCESS' and payment.counts) as amount,
        count(*) filter (where payment.status = 'SUCCESS') as successes,
        count(*) filter (where payment.status <> 'SUCCESS') as reversals
    from input.payment as payment
    inner join input.xendit_transactions as t on payment.transaction_id = t.id
    group by payment.invoice_id
),

invoice as (
    select
        i.id,
        i.status,
        i.created,
        i.updated,
        i.expiry_date,
        upper(btrim(coalesce(i.currency, 'PHP'))) as currency,
        coalesce(alias.person_key, address.email_key) as email_key,
        coalesce(product.product_type, 'unattributed') as product_type,
        case when payment.status <> 'VOIDED' then t.id end as payment_id,
        -- What was really paid. Once: the invoice's own word, else the payment's, else what was asked for. More than
        -- once: the invoice speaks of one payment, the payments of all.
        case
            when paid.payments > 1 then paid.amount
            else coalesce(i.paid_amount, case when payment.counts then t.amount end, i.amount)
        end as received,
        case when paid.payments > 1 then greatest(paid.amount - coalesce(i.paid_amount, i.amount), 0) else 0 end
            as extra,
        coalesce(paid.successes, 0) = 0 and paid.reversals > 0 as is_reversed,
        coalesce(i.paid_at, t.created, i.updated, i.created) as paid_at
    from input.xendit_invoices as i
    left join input.payment as payment on i.id = payment.invoice_id and payment.place = 1
    left join input.xendit_transactions as t on payment.transaction_id = t.id
    left join paid on i.id = paid.invoice_id
    -- the first of the two addresses that can be used
    cross join
        lateral (
            select
                coalesce(
                    cutover.email_key(i.payer_email, (select characters from input.address_limit)),
                    cutover.email_key(i.customer ->> 'email', (select characters from input.address_limit))
                ) as email_key
        ) as address
    left join input.alias as alias on address.email_key = alias.email_key
    cross join lateral (select cutover.folded(i.description) as folded) as description
    left join lateral (
        select pattern.product_type
        from pattern
        where description.folded like pattern.folded
        order by pattern.priority
        limit 1
    ) as product on true
),

judged as (
    select
        invoice.*,
        case
            when status in ('EXPIRED', 'PENDING') then 'status ' || status
        end as left_out_reason,
        case
            when status in ('EXPIRED', 'PENDING') then null
            when status is null or status not in ('PAID', 'SETTLED') then 'unknown_status'
            when email_key is null then 'invalid_email'
            when not cutover.holds(received) or received < 0 or not cutover.holds(extra) then 'invalid_amount'
            when currency !~ '^[A-Z]{3}$' then 'invalid_currency'
            when
                not cutover.believable(coalesce(created, paid_at))
                or (expiry_date is not null and not cutover.believable(expiry_date))
                or (updated is not null and not cutover.believable(updated))
                then 'invalid_time'
        end as rejected_reason
    from invoice
)

select
    id,
    status,
    coalesce(created, paid_at) as created,
    updated,
    currency,
    email_key,
    product_type,
    payment_id,
    received,
    extra,
    case when is_reversed then received else 0 end as reversed,
    -- a time that cannot be is not believed: before there were such payments, or not yet
    case
        when
            status in ('PAID', 'SETTLED')
            and paid_at >= '2010-01-01 00:00:00+00'
            and paid_at < statement_timestamp() + interval '1 day'
            then paid_at
    end as paid_at,
    case
        when left_out_reason is not null then 'left_out'
        when rejected_reason is not null then 'rejected'
        else 'staged'
    end as fate,
    coalesce(left_out_reason, rejected_reason) as reason
from judged;

alter table input.invoice add primary key (id);
create index on input.invoice (email_key);
analyze input.invoice;

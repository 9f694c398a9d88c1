-- Every invoice: who paid, what for, how much, and what becomes of it (`fate`: staged, left_out, rejected, and why).
drop table if exists input.invoice;

create table input.invoice as
with invoice as (
    select
        i.id,
        i.status,
        i.created,
        i.updated,
        -- the first of the two addresses that can be used
        coalesce(cutover.email_key(i.payer_email), cutover.email_key(i.customer ->> 'email')) as email_key,
        coalesce(product.product_type, 'unattributed') as product_type,
        t.id as payment_id,
        -- what was really paid: the invoice's own word, else the payment's, else what was asked for
        coalesce(i.paid_amount, t.amount, i.amount) as amount,
        coalesce(i.paid_at, t.created, i.updated, i.created) as paid_at
    from input.xendit_invoices as i
    left join input.payment as p on i.id = p.invoice_id
    left join input.xendit_transactions as t on p.transaction_id = t.id
    left join lateral (
        select c.product_type
        from input.product as c
        where i.description ilike c.description_pattern
        order by c.priority
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
            -- transactions.amount is numeric(12, 2): an amount that it cannot hold exactly is not rounded
            when
                amount is null or amount = 'NaN' or amount < 0 or amount >= 1e10 or amount <> round(amount, 2)
                then 'invalid_amount'
        end as rejected_reason
    from invoice
)

select
    id,
    status,
    created,
    updated,
    email_key,
    product_type,
    payment_id,
    amount,
    case when status in ('PAID', 'SETTLED') then paid_at end as paid_at,
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

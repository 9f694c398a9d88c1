-- What is kept of every staged invoice: kept = received - returned, over all its payments and all that went back.
-- A return first undoes what was paid twice: paid twice and one refunded is paid once.
drop table if exists input.money;

create table input.money as
with
returned as (
    select
        invoice_id,
        sum(amount) as amount,
        (
            array_agg(type order by created desc nulls last, type asc, transaction_id asc)
            filter (where amount > 0)
        )[1] as last_kind
    from input.refund
    where invoice_id is not null
    group by invoice_id
),

summed as (
    select
        invoice.id as invoice_id,
        invoice.currency,
        invoice.received,
        invoice.extra,
        invoice.reversed + coalesce(returned.amount, 0) as returned,
        case when invoice.reversed > 0 and returned.last_kind is null then 'REFUND' else returned.last_kind end
            as last_kind
    from input.invoice as invoice
    left join returned on invoice.id = returned.invoice_id
    where invoice.fate = 'staged'
),

undone as (
    select
        summed.*,
        -- more won back than was ever taken is money, too
        least(summed.returned, summed.extra) as undone
    from summed
)

select
    invoice_id,
    currency,
    received,
    extra,
    last_kind,
    received - undone as exact_amount,
    returned - undone as exact_refunded,
    cutover.rounded(received - undone, currency) as amount,
    cutover.rounded(returned - undone, currency) as refunded_amount
from undone;

alter table input.money add primary key (invoice_id);
analyze input.money;

-- One transaction per PAID or SETTLED invoice, and the ones paid by hand.
with
returned as (
    select
        invoice_id,
        sum(amount) as amount,
        bool_or(type = 'CHARGEBACK') as charged_back
    from input.refund
    where invoice_id is not null
    group by invoice_id
),

payment as (
    select
        sale.id,
        invoice.amount,
        source.currency,
        case
            when returned.charged_back then 'charged_back'
            when returned.amount >= invoice.amount then 'refunded'
            when returned.amount > 0 then 'partially_refunded'
            else lower(invoice.status)
        end as status,
        source.external_id,
        source.payment_method,
        t.fee_amount,
        coalesce(t.net_amount, invoice.amount - t.fee_amount) as net_amount,
        coalesce(returned.amount, 0) as refunded_amount,
        source.created as created_at,
        invoice.paid_at,
        case
            when t.settlement_status in ('SETTLED', 'EARLY_SETTLED')
                then coalesce(t.estimated_settlement_time, t.updated)
            when invoice.status = 'SETTLED' then invoice.updated
        end as settled_at,
        source.expiry_date as expires_at,
        jsonb_strip_nulls(
            jsonb_build_object(
                'description', source.description,
                'payment_channel', source.payment_channel
            )
        ) as metadata
    from input.sale as sale
    inner join input.invoice as invoice on sale.invoice_id = invoice.id
    inner join input.xendit_invoices as source on invoice.id = source.id
    left join input.xendit_transactions as t on sale.payment_id = t.id
    left join returned on invoice.id = returned.invoice_id
    union all
    select
        sale.id,
        product.manual_price as amount,
        product.currency,
        'paid' as status,
        null as external_id,
        'manual' as payment_method,
        null as fee_amount,
        null as net_amount,
        0 as refunded_amount,
        customer.registered_at as created_at,
        null as paid_at,
        null as settled_at,
        null as expires_at,
        jsonb_build_object('tag', product.tag) as metadata
    from input.sale as sale
    inner join input.customer as customer on sale.email_key = customer.email_key
    inner join input.product as product on sale.product_type = product.product_type
    where sale.transaction_type = 'manual'
),

reserved as (
    select
        row_id,
        number
    from cutover.reserved_number
    where table_name = 'transactions'
),

drawn as (
    insert into cutover.reserved_number (table_name, row_id, number)
    select
        'transactions' as table_name,
        unnumbered.id as row_id,
        nextval(pg_get_serial_sequence('public.transactions', 'receipt_no')) as number
    from (
        select sale.id
        from input.sale as sale
        inner join payment on sale.id = payment.id
        where
            sale.continues is null
            and not exists (select from reserved where reserved.row_id = sale.id)
        order by payment.created_at asc, sale.id asc
    ) as unnumbered
    returning row_id, number
),

numbered as (
    select * from reserved
    union all
    select * from drawn
)

insert into staging.transactions (
    id,
    receipt_no,
    user_id,
    xendit_invoice_id,
    xendit_transaction_id,
    external_id,
    contact_email,
    product_type,
    transaction_type,
    amount,
    currency,
    status,
    payment_method,
    fee_amount,
    net_amount,
    refunded_amount,
    fiscal_year,
    fiscal_quarter,
    created_at,
    paid_at,
    settled_at,
    expires_at,
    metadata
)
select
    sale.id,
    coalesce(current_row.receipt_no, numbered.number) as receipt_no,
    sale.user_id,
    sale.invoice_id as xendit_invoice_id,
    sale.payment_id as xendit_transaction_id,
    payment.external_id,
    sale.email_key as contact_email,
    sale.product_type,
    sale.transaction_type,
    payment.amount,
    coalesce(payment.currency, 'PHP') as currency,
    payment.status,
    payment.payment_method,
    payment.fee_amount,
    payment.net_amount,
    payment.refunded_amount,
    extract(year from payment.paid_at at time zone 'Asia/Manila')::integer as fiscal_year,
    extract(quarter from payment.paid_at at time zone 'Asia/Manila')::integer as fiscal_quarter,
    payment.created_at,
    payment.paid_at,
    payment.settled_at,
    payment.expires_at,
    coalesce(current_row.metadata, '{}') || payment.metadata as metadata
from input.sale as sale
inner join payment on sale.id = payment.id
left join input.transactions as current_row on sale.continues = current_row.id
left join numbered on sale.id = numbered.row_id

-- One transaction per PAID or SETTLED invoice, and the ones paid by hand.
with
-- Fees and net amounts of all payments of an invoice. They come in the currency of the settlement.
settled as (
    select
        payment.invoice_id,
        sum(t.fee_amount) as fee_amount,
        sum(coalesce(t.net_amount, t.amount - t.fee_amount)) as net_amount,
        min(upper(btrim(coalesce(t.api_response ->> 'net_amount_currency', t.currency)))) as currency,
        count(distinct upper(btrim(coalesce(t.api_response ->> 'net_amount_currency', t.currency)))) as currencies
    from input.payment as payment
    inner join input.xendit_transactions as t on payment.transaction_id = t.id
    where payment.status = 'SUCCESS' or payment.place = 1
    group by payment.invoice_id
),

earned as (
    select
        invoice.id as invoice_id,
        coalesce(settled.currencies, 1) = 1 and coalesce(settled.currency, invoice.currency) = invoice.currency
        and (settled.fee_amount is null or cutover.holds(settled.fee_amount))
        and (settled.net_amount is null or cutover.holds(settled.net_amount))
            as is_own,
        settled.fee_amount,
        settled.net_amount,
        settled.currency
    from input.invoice as invoice
    left join settled on invoice.id = settled.invoice_id
),

payment as (
    select
        sale.id,
        money.amount,
        money.currency,
        case
            when money.refunded_amount > 0 and money.refunded_amount >= money.amount
                then case money.last_kind when 'CHARGEBACK' then 'charged_back' else 'refunded' end
            when money.refunded_amount > 0 then 'partially_refunded'
            else lower(invoice.status)
        end as status,
        source.external_id,
        source.payment_method,
        case when earned.is_own then cutover.rounded(earned.fee_amount, money.currency) end as fee_amount,
        case when earned.is_own then cutover.rounded(earned.net_amount, money.currency) end as net_amount,
        money.refunded_amount,
        invoice.created as created_at,
        invoice.paid_at,
        case
            -- an early settlement's estimate is of what would have been
            when t.settlement_status = 'EARLY_SETTLED' then coalesce(t.updated, t.estimated_settlement_time)
            when t.settlement_status = 'SETTLED' then coalesce(t.estimated_settlement_time, t.updated)
            when invoice.status = 'SETTLED' then coalesce(invoice.updated, invoice.created)
        end as settled_at,
        source.expiry_date as expires_at,
        jsonb_strip_nulls(
            jsonb_build_object(
                'description', source.description,
                'payment_channel', source.payment_channel,
                -- as they came, where a column cannot say it
                'exact_amount', case when money.exact_amount <> money.amount then money.exact_amount::text end,
                'exact_refunded_amount',
                case when money.exact_refunded <> money.refunded_amount then money.exact_refunded::text end,
                'settled_in',
                case
                    when not earned.is_own
                        then jsonb_build_object(
                                'currency', earned.currency,
                                'fee_amount', earned.fee_amount::text,
                                'net_amount', earned.net_amount::text
                            )
                end
            )
        ) as metadata
    from input.sale as sale
    inner join input.invoice as invoice on sale.invoice_id = invoice.id
    inner join input.money as money on invoice.id = money.invoice_id
    inner join input.xendit_invoices as source on invoice.id = source.id
    inner join earned on invoice.id = earned.invoice_id
    left join input.xendit_transactions as t on sale.payment_id = t.id
    union all
    -- booked by staff, as it is
    select
        sale.id,
        current_row.amount,
        current_row.currency,
        current_row.status,
        current_row.external_id,
        current_row.payment_method,
        current_row.fee_amount,
        current_row.net_amount,
        current_row.refunded_amount,
        current_row.created_at,
        current_row.paid_at,
        current_row.settled_at,
        current_row.expires_at,
        '{}'::jsonb as metadata
    from input.sale as sale
    inner join input.booked as booked on sale.id = booked.id
    inner join input.transactions as current_row on booked.id = current_row.id
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
        coalesce(customer.registered_at, customer.first_seen_at) as created_at,
        null as paid_at,
        null as settled_at,
        null as expires_at,
        jsonb_build_object('tag', product.tag) as metadata
    from input.sale as sale
    inner join input.customer as customer on sale.email_key = customer.email_key
    inner join input.product as product on sale.product_type = product.product_type
    where
        sale.transaction_type = 'manual'
        and not exists (select from input.booked as booked where booked.id = sale.id)
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
    -- what is no object is kept under a key, where the next launch finds it as it left it
    case
        when current_row.metadata is null or jsonb_typeof(current_row.metadata) = 'null' then '{}'
        when jsonb_typeof(current_row.metadata) = 'object'
            then current_row.metadata - '{exact_amount,exact_refunded_amount,settled_in}'::text[]
        else jsonb_build_object('before', current_row.metadata)
    end || payment.metadata as metadata
from input.sale as sale
inner join payment on sale.id = payment.id
left join input.transactions as current_row on sale.continues = current_row.id
left join numbered on sale.id = numbered.row_id

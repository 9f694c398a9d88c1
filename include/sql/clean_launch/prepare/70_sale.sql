-- Every transaction to stage, and the current row that it continues: that row's id, receipt number and notes are kept,
-- because rows outside refer to them. A new row's id is derived from what it is: the same in every run.
drop table if exists input.sale;

create table input.sale as
with
sale as (
    select
        'payment' as transaction_type,
        invoice.id as invoice_id,
        invoice.payment_id,
        person.id as user_id,
        person.email_key,
        invoice.product_type,
        md5('clean_launch/transactions/' || invoice.id)::uuid as derived_id
    from input.invoice as invoice
    inner join input.person as person on invoice.email_key = person.email_key
    where invoice.fate = 'staged'
    union all
    -- paid by hand: the tag says that the product was bought, and no PAID or SETTLED invoice says so
    select
        'manual' as transaction_type,
        null as invoice_id,
        null as payment_id,
        person.id as user_id,
        person.email_key,
        product.product_type,
        md5('clean_launch/transactions/manual/' || person.id || '/' || product.product_type)::uuid as derived_id
    from input.customer as customer
    inner join input.person as person on customer.email_key = person.email_key
    inner join input.product as product on product.tag = any(customer.tags)
    where
        product.manual_price is not null
        and not exists (
            select
            from input.invoice as invoice
            where
                invoice.email_key = customer.email_key
                and invoice.product_type = product.product_type
                and invoice.status in ('PAID', 'SETTLED')
        )
),

by_invoice as (
    select
        sale.derived_id,
        current_row.id
    from sale
    inner join input.transactions as current_row on sale.invoice_id = current_row.xendit_invoice_id
),

by_payment as (
    select
        sale.derived_id,
        current_row.id
    from sale
    inner join input.transactions as current_row on sale.payment_id = current_row.xendit_transaction_id
    where
        not exists (select from by_invoice where by_invoice.derived_id = sale.derived_id)
        and not exists (select from by_invoice where by_invoice.id = current_row.id)
),

-- the earliest by receipt, should production have several
by_hand as (
    select distinct on (sale.derived_id)
        sale.derived_id,
        current_row.id
    from sale
    inner join input.person_account as account on sale.email_key = account.email_key
    inner join input.transactions as current_row
        on
            account.account_id = current_row.user_id
            and sale.product_type = current_row.product_type
    where
        sale.transaction_type = 'manual'
        and current_row.transaction_type = 'manual'
        and current_row.xendit_invoice_id is null
        and current_row.xendit_transaction_id is null
    order by sale.derived_id asc, account.place asc, current_row.receipt_no asc
),

continued as (
    select * from by_invoice
    union all
    select * from by_payment
    union all
    select * from by_hand
)

select
    coalesce(continued.id, sale.derived_id) as id,
    continued.id as continues,
    sale.transaction_type,
    sale.invoice_id,
    sale.payment_id,
    sale.user_id,
    sale.email_key,
    sale.product_type
from sale
left join continued on sale.derived_id = continued.derived_id;

alter table input.sale add primary key (id);
create index on input.sale (email_key);
create index on input.sale (invoice_id);
analyze input.sale;

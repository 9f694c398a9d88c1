-- Every transaction to stage, and the current row that it continues: that row's id, receipt number and notes are kept,
-- because rows outside refer to them. A new row's id is derived from what it is: the same in every run.
drop table if exists input.by_hand;

-- Whose each payment without any source is. It is the contact's for whose profile it was booked, whatever address the
-- contact has by now; else the account's. What a launch has booked itself, on the word of a tag (`of_a_tag`), has an id
-- that is derived from that, and is decided anew each time.
create table input.by_hand as
with
owned as (
    select
        account.account_id,
        account.person_id as user_id,
        account.email_key
    from input.person_account as account
    union all
    select
        m.account_id,
        m.account_id as user_id,
        cutover.email_key(u.email, (select characters from input.address_limit)) as email_key
    from input.member as m
    inner join input.auth_users as u on m.account_id = u.id
    where m.test_account is null
)

select
    current_row.id,
    current_row.receipt_no,
    coalesce(of_contact.id, owned.user_id) as user_id,
    coalesce(of_contact.email_key, owned.email_key) as email_key,
    coalesce(current_row.product_type, 'unattributed') as product_type,
    exists(
        select
        from input.product as product
        where
            current_row.id
            = md5('clean_launch/transactions/manual/' || current_row.user_id || '/' || product.product_type)::uuid
    ) as of_a_tag
from input.transactions as current_row
inner join owned on current_row.user_id = owned.account_id
left join input.unified_profiles as p on current_row.user_id = p.id
left join input.contact as contact on p.systemeio_id = contact.id::text
left join input.person as of_contact on contact.email_key = of_contact.email_key
where
    current_row.transaction_type = 'manual'
    and current_row.xendit_invoice_id is null
    and current_row.xendit_transaction_id is null
    -- what is not that is no payment that these tables can hold; it is listed with those that no source confirms
    and current_row.status in ('paid', 'settled', 'partially_refunded', 'refunded', 'charged_back')
    and current_row.amount >= 0
    and current_row.refunded_amount >= 0
    and current_row.currency ~ '^[A-Z][A-Z][A-Z]$'
    and current_row.created_at is not null
    and coalesce(of_contact.email_key, owned.email_key) is not null;

alter table input.by_hand add primary key (id);
create index on input.by_hand (user_id, product_type);
analyze input.by_hand;

drop table if exists input.booked;

-- What staff have booked by hand in production for a customer or a member: kept as it is.
create table input.booked as
select
    id,
    user_id,
    email_key,
    product_type
from input.by_hand
where not of_a_tag;

alter table input.booked add primary key (id);
create index on input.booked (user_id, product_type);
analyze input.booked;

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
            from input.booked as booked
            where
                booked.user_id = person.id
                and booked.product_type = product.product_type
        )
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

-- the launch's own of before, on whichever account it was made
by_hand as (
    select distinct on (sale.derived_id)
        sale.derived_id,
        before.id
    from sale
    inner join input.by_hand as before
        on
            sale.user_id = before.user_id
            and sale.product_type = before.product_type
            and before.of_a_tag
    where sale.transaction_type = 'manual'
    order by sale.derived_id asc, (before.id = sale.derived_id) desc, before.receipt_no asc
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
left join continued on sale.derived_id = continued.derived_id
union all
select
    booked.id,
    booked.id as continues,
    'manual' as transaction_type,
    null as invoice_id,
    null as payment_id,
    booked.user_id,
    booked.email_key,
    booked.product_type
from input.booked as booked;

alter table input.sale add primary key (id);
create index on input.sale (email_key);
create index on input.sale (invoice_id);
analyze input.sale;

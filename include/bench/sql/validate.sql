-- Five staged tables of {rows} consistent rows each, and what their suites look up beside them.
create schema if not exists auth;
create table auth.users (id uuid primary key);
create table public.membership_levels (id uuid primary key);

insert into staging.users (id, email, is_new, created_at)
select
    md5('u' || n)::uuid,
    'person' || n || '@example.com',
    n % 3 = 0,
    '2024-01-01'
from generate_series(1, {rows}) as n;

insert into auth.users (id)
select id
from staging.users
where not is_new;

insert into staging.affiliates (id, user_id, status)
select
    md5('a' || n)::uuid,
    md5('u' || n)::uuid,
    'pending'
from generate_series(1, {rows}) as n;

insert into staging.unified_profiles (
    id, email, first_name, last_name, phone, tags, acquisition_source, affiliate_id, systemeio_id, systemeio_tags
)
select
    md5('u' || n)::uuid,
    'person' || n || '@example.com',
    'Given',
    'Family',
    '+63 900 000',
    array['Canva', 'Newsletter'],
    'systemeio',
    md5('a' || n)::uuid,
    n::text,
    array['Canva', 'Newsletter']
from generate_series(1, {rows}) as n;

insert into staging.transactions (
    id, receipt_no, user_id, xendit_invoice_id, xendit_transaction_id, external_id, contact_email, product_type,
    transaction_type, amount, status, payment_method, fee_amount, net_amount, fiscal_year, fiscal_quarter, created_at,
    paid_at
)
select
    md5('t' || n)::uuid,
    n,
    md5('u' || n)::uuid,
    'invoice' || n,
    'txn' || n,
    'order' || n,
    'person' || n || '@example.com',
    case when n % 2 = 0 then 'p2p_course' else 'canva_ebook' end,
    'payment',
    1000,
    'paid',
    'EWALLET',
    25,
    975,
    extract(year from paid.paid_at at time zone 'Asia/Manila'),
    extract(quarter from paid.paid_at at time zone 'Asia/Manila'),
    paid.paid_at as created_at,
    paid.paid_at
from generate_series(1, {rows}) as n
cross join lateral (select '2024-01-01'::timestamptz + n * interval '30 seconds' as paid_at) as paid;

insert into staging.enrollments (id, enrollment_no, user_id, transaction_id, product_type, enrolled_at)
select
    md5('e' || n)::uuid,
    n,
    md5('u' || n)::uuid,
    md5('t' || n)::uuid,
    case when n % 2 = 0 then 'p2p_course' else 'canva_ebook' end,
    '2024-01-01'
from generate_series(1, {rows}) as n;

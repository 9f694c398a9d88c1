-- What is sold, owed and paid out. 22 tables.
set local role app_owner;
set local search_path = public;

create table products (
    id bigint generated always as identity primary key,
    product_type text not null unique,
    name text not null
);

create table product_prices (
    id bigint generated always as identity primary key,
    product_id bigint not null references products (id) on delete cascade,
    amount numeric(12, 2) not null,
    currency text not null default 'PHP',
    valid_from date not null
);

create table coupons (
    code text primary key,
    percent_off numeric(5, 2) not null check (percent_off between 0 and 100),
    expires_at timestamptz
);

create table coupon_redemptions (
    id bigint generated always as identity primary key,
    code text not null references coupons (code),
    transaction_id uuid references transactions (id) on delete set null,
    redeemed_at timestamptz not null default now()
);

create table refunds (
    id uuid primary key default gen_random_uuid(),
    transaction_id uuid not null,
    amount numeric(12, 2) not null check (amount > 0),
    reason text,
    created_at timestamptz not null default now(),
    constraint refunds_transaction_id_fkey
    foreign key (transaction_id) references transactions (id) on delete restrict
);
create index refunds_transaction_id_idx on refunds (transaction_id);

create table disputes (
    id uuid primary key default gen_random_uuid(),
    transaction_id uuid,
    status text not null default 'open',
    opened_at timestamptz not null default now(),
    constraint disputes_transaction_id_fkey
    foreign key (transaction_id) references transactions (id) on delete set null deferrable initially deferred
);

create table affiliate_links (
    id bigint generated always as identity primary key,
    affiliate_id uuid not null references affiliates (id) on delete cascade,
    code text not null unique,
    target_url text not null
);

create table affiliate_clicks (
    id bigint generated always as identity primary key,
    link_id bigint not null references affiliate_links (id) on delete cascade,
    clicked_at timestamptz not null default now(),
    ip inet
);

create table affiliate_payouts (
    id bigint generated always as identity primary key,
    affiliate_id uuid not null references affiliates (id) on delete restrict,
    amount numeric(10, 2) not null,
    paid_at timestamptz
);

create table commissions (
    id bigint generated always as identity primary key,
    affiliate_id uuid not null,
    transaction_id uuid,
    amount numeric(10, 2) not null,
    earned_at timestamptz not null default now(),
    constraint commissions_affiliate_id_fkey
    foreign key (affiliate_id) references affiliates (id) on delete cascade,
    constraint commissions_transaction_id_fkey
    foreign key (transaction_id) references transactions (id) on delete set null
);

create table payouts (
    id bigint generated always as identity primary key,
    bank_reference text,
    amount numeric(12, 2) not null,
    sent_at timestamptz
);

create table payout_items (
    payout_id bigint not null references payouts (id) on delete cascade,
    commission_id bigint not null references commissions (id),
    primary key (payout_id, commission_id)
);

create table carts (
    id uuid primary key default gen_random_uuid(),
    profile_id uuid references unified_profiles (id) on delete cascade,
    updated_at timestamptz not null default now()
);

create table cart_items (
    cart_id uuid not null references carts (id) on delete cascade,
    product_id bigint not null references products (id),
    primary key (cart_id, product_id)
);

create table orders (
    id uuid primary key default gen_random_uuid(),
    profile_id uuid references unified_profiles (id) on delete set null,
    transaction_id uuid references transactions (id) on delete set null,
    placed_at timestamptz not null default now()
);

create table order_items (
    order_id uuid not null references orders (id) on delete cascade,
    product_id bigint not null references products (id),
    amount numeric(12, 2) not null,
    primary key (order_id, product_id)
);

create table subscriptions (
    id uuid primary key default gen_random_uuid(),
    profile_id uuid not null references unified_profiles (id) on delete cascade,
    membership_level_id uuid not null references membership_levels (id),
    status text not null default 'active'
);

create table subscription_events (
    id bigint generated always as identity primary key,
    subscription_id uuid not null references subscriptions (id) on delete cascade,
    kind text not null,
    at timestamptz not null default now()
);

create table tax_rates (
    country text primary key,
    percent numeric(5, 2) not null
);

create table payment_methods (
    code text primary key,
    label text not null,
    is_enabled boolean not null default true
);

create table webhook_events (
    id bigint generated always as identity primary key,
    source text not null,
    payload jsonb not null,
    received_at timestamptz not null default now(),
    handled_at timestamptz
);

create table gift_codes (
    code text primary key,
    product_id bigint not null references products (id),
    redeemed_by uuid references unified_profiles (id) on delete set null
);

reset role;
reset search_path;

-- Customers who bring customers; total_earned is money owed to them.
create table staging.affiliates (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    status text not null default 'pending',
    commission_rate numeric(5, 4) default 0.3,
    total_earned numeric(10, 2) default 0,
    created_at timestamptz default now(),
    updated_at timestamptz default now(),
    constraint affiliates_pkey primary key (id),
    constraint affiliates_user_id_key unique (user_id),
    constraint affiliates_commission_rate_check check (commission_rate between 0 and 1),
    constraint affiliates_user_id_fkey foreign key (user_id)
    references staging.unified_profiles (id) on delete cascade
);

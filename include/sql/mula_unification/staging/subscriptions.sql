-- All subscriptions of both applications. The seed's table does not say what a plan costs; without monthly_amount
-- nobody could tell whether revenue has been maintained. A person with a subscription cannot be deleted.
create table staging.subscriptions (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    stripe_subscription_id varchar(255),
    plan_name varchar(50),
    monthly_amount numeric(10, 2),
    status varchar(50),
    started_at timestamptz default now(),
    next_billing_at timestamptz,
    constraint subscriptions_pkey primary key (id),
    constraint subscriptions_stripe_subscription_id_key unique (stripe_subscription_id),
    constraint subscriptions_user_id_fkey foreign key (user_id) references staging.users (id)
);

create index subscriptions_user_id_status_idx on staging.subscriptions (user_id, status);

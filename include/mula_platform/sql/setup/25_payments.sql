-- What Stripe says of subscriptions. Ids, times and amounts: who pays, and by which card, is not kept here.

-- Every event that was taken, once, by the application whose endpoint's secret has signed it. What an event does not
-- say is null; of one that is about no subscription only what it is.
create table if not exists platform.stripe_event (
    source text not null,
    event_id text not null,
    event_type text not null,
    -- when it happened; Stripe sends later what it could not send then, so it says nothing about received_at
    created_at timestamptz not null,
    received_at timestamptz not null default now(),
    subscription_id text,
    customer_id text,
    status text,
    plan_name text,
    -- dollars
    monthly_amount numeric(10, 2),
    next_billing_at timestamptz,
    -- it is billed no more
    ends boolean not null,
    primary key (source, event_id)
);
create index if not exists stripe_event_subscription_idx on platform.stripe_event (subscription_id, source);
create index if not exists stripe_event_customer_idx on platform.stripe_event (customer_id, source);
create index if not exists stripe_event_prune_idx on platform.stripe_event (received_at) where subscription_id is null;

-- Whose each migrated subscription is of the two applications (their Stripe accounts), and what it was when its source
-- was last told of it: what had happened until then is in it, and no event from before changes it.
create table if not exists platform.stripe_subscription (
    source text not null,
    subscription_id text not null,
    known_at timestamptz not null,
    status text,
    plan_name text,
    monthly_amount numeric(10, 2),
    next_billing_at timestamptz,
    primary key (source, subscription_id)
);
create index if not exists stripe_subscription_id_idx on platform.stripe_subscription (subscription_id);

grant select, insert, delete on platform.stripe_event to mula_platform;
grant select, delete on platform.stripe_subscription to mula_platform;

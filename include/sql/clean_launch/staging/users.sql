-- Customers as accounts. Merged into auth.users at the swap, which is never replaced.
create table staging.users (
    id uuid not null,
    email text not null,
    -- false: production has this account already, and the merge leaves it alone
    is_new boolean not null,
    created_at timestamptz not null,
    user_metadata jsonb not null default '{}',
    constraint users_pkey primary key (id),
    constraint users_email_key unique (email)
);

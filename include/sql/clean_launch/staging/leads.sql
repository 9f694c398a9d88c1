-- Every contact, bought or not: one row per person. New in production, so nothing there to take keys from.
create table staging.leads (
    id uuid not null default gen_random_uuid(),
    email text not null,
    systemeio_id text not null,
    -- other contacts of the same person, by id
    merged_systemeio_ids text[] not null default '{}',
    stage text not null default 'lead',
    user_id uuid,
    first_name text,
    last_name text,
    phone text,
    tags text[] not null default '{}',
    locale text,
    source_url text,
    registered_at timestamptz,
    first_paid_at timestamptz,
    unsubscribed boolean not null default false,
    bounced boolean not null default false,
    constraint leads_pkey primary key (id),
    constraint leads_email_key unique (email),
    constraint leads_systemeio_id_key unique (systemeio_id),
    constraint leads_stage_check check (stage in ('lead', 'customer')),
    -- set null takes the account away, and with it who converted; the stage stays a fact
    constraint leads_user_id_fkey foreign key (user_id)
    references staging.unified_profiles (id) on delete set null
);

create index leads_user_id_idx on staging.leads (user_id);
create index leads_registered_at_idx on staging.leads (registered_at);

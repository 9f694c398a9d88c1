-- One per customer; id is the account's id.
create table staging.unified_profiles (
    id uuid not null,
    email text not null,
    first_name text,
    last_name text,
    full_name text generated always as (
        nullif(btrim(coalesce(first_name, '') || ' ' || coalesce(last_name, '')), '')
    ) stored,
    phone text,
    tags text[],
    acquisition_source text,
    status text not null default 'active',
    membership_level_id uuid,
    affiliate_id uuid,
    admin_metadata jsonb default '{}',
    systemeio_id text,
    systemeio_tags text[],
    api_source text default 'systemeio',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint unified_profiles_pkey primary key (id),
    constraint unified_profiles_email_key unique (email),
    constraint unified_profiles_id_fkey foreign key (id) references auth.users (id) on delete cascade,
    constraint unified_profiles_membership_level_id_fkey foreign key (membership_level_id)
    references public.membership_levels (id),
    -- the other half of a circle with affiliates.user_id
    constraint fk_unified_profiles_affiliate_id foreign key (affiliate_id)
    references staging.affiliates (id) on delete set null deferrable initially deferred
);

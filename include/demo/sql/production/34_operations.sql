-- What the application keeps about itself. 11 tables, the partitions of events among them.
set local role app_owner;
set local search_path = public;

create table events (
    id bigint generated always as identity,
    profile_id uuid,
    kind text not null,
    at timestamptz not null,
    details jsonb not null default '{}',
    constraint events_pkey primary key (id, at),
    constraint events_profile_id_fkey
    foreign key (profile_id) references unified_profiles (id) on delete cascade
) partition by range (at);
create table events_2023 partition of events for values from ('2023-01-01') to ('2024-01-01');
create table events_2024 partition of events for values from ('2024-01-01') to ('2025-01-01');
create table events_2025 partition of events for values from ('2025-01-01') to ('2026-01-01');
create table events_later partition of events default;
create index events_profile_id_idx on events (profile_id);

create table row_audit (
    id bigint generated always as identity primary key,
    table_name text not null,
    row_id uuid not null,
    operation text not null,
    old_row jsonb,
    new_row jsonb,
    changed_by text not null default current_user,
    changed_at timestamptz not null default now()
);

create table app_settings (
    name text primary key,
    value jsonb not null
);

create table feature_flags (
    name text primary key,
    is_on boolean not null default false,
    changed_by uuid references unified_profiles (id) on delete set null
);

create table background_jobs (
    id bigint generated always as identity primary key,
    kind text not null,
    arguments jsonb not null default '{}',
    state text not null default 'waiting',
    run_at timestamptz not null default now()
);

create table file_uploads (
    id uuid primary key default gen_random_uuid(),
    owner_id uuid references auth.users (id) on delete set null,
    path text not null unique,
    bytes bigint not null
);

create table api_keys (
    id uuid primary key default gen_random_uuid(),
    profile_id uuid not null references unified_profiles (id) on delete cascade,
    key_hash text not null unique,
    revoked_at timestamptz
);

reset role;
reset search_path;

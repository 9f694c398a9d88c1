-- Campaigns and funnels, and the two tables into which CSV exports were imported by hand. 14 tables.
set local role app_owner;
set local search_path = public;

create table xendit (
    "Status" text,
    "Description" text,
    "External ID" text,
    "Email" text,
    "Customer Email" text,
    "Amount" bigint,
    "Created Timestamp" text
);

create table systemeio (
    "Email" text,
    "First name" text,
    "Last name" text,
    "Tag" text,
    "Date Registered" timestamptz
);

create table email_templates (
    id bigint generated always as identity primary key,
    name text not null unique,
    subject text not null,
    body text
);

create table email_campaigns (
    id bigint generated always as identity primary key,
    template_id bigint references email_templates (id),
    name text not null,
    sent_at timestamptz
);

create table email_sends (
    id bigint generated always as identity primary key,
    campaign_id bigint not null references email_campaigns (id) on delete cascade,
    profile_id uuid references unified_profiles (id) on delete cascade,
    opened_at timestamptz
);

create table email_suppressions (
    email text primary key,
    reason text not null
);

create table funnels (
    id bigint generated always as identity primary key,
    name text not null unique
);

create table funnel_steps (
    id bigint generated always as identity primary key,
    funnel_id bigint not null references funnels (id) on delete cascade,
    position integer not null,
    name text not null,
    unique (funnel_id, position)
);

create table funnel_visits (
    id bigint generated always as identity primary key,
    step_id bigint not null references funnel_steps (id) on delete cascade,
    visitor text not null,
    visited_at timestamptz not null default now()
);

create table landing_pages (
    slug text primary key,
    funnel_id bigint references funnels (id) on delete set null,
    html text
);

create table ab_tests (
    id bigint generated always as identity primary key,
    name text not null unique,
    started_at timestamptz
);

create table ab_assignments (
    test_id bigint not null references ab_tests (id) on delete cascade,
    visitor text not null,
    variant text not null,
    primary key (test_id, visitor)
);

create table tags (
    name text primary key,
    description text
);

create table profile_notes (
    id bigint generated always as identity primary key,
    profile_id uuid not null references unified_profiles (id) on delete cascade,
    author_id uuid references unified_profiles (id) on delete set null,
    body text not null,
    created_at timestamptz not null default now()
);

reset role;
reset search_path;

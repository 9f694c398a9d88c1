-- One per person.
create table staging.user_preferences (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    notifications_enabled boolean default true,
    daily_dasha_reminder boolean default true,
    email_enabled boolean default true,
    marketing_emails boolean default false,
    daily_reminder_time time default '09:00',
    timezone varchar(50) default 'UTC',
    data jsonb default '{}',
    updated_at timestamptz default now(),
    constraint user_preferences_pkey primary key (id),
    constraint user_preferences_user_id_key unique (user_id),
    constraint user_preferences_user_id_fkey foreign key (user_id) references staging.users (id) on delete cascade
);

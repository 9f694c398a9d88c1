-- What people do, for analytics; one row account_migrated for every legacy account.
create table staging.activity_log (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    action varchar(100),
    metadata jsonb,
    created_at timestamptz default now(),
    constraint activity_log_pkey primary key (id),
    constraint activity_log_user_id_fkey foreign key (user_id) references staging.users (id) on delete cascade
);

create index activity_log_user_id_created_at_idx on staging.activity_log (user_id, created_at);
create index activity_log_created_at_idx on staging.activity_log (created_at);

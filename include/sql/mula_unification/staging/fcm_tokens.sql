-- Where push notifications go: one per person and device.
create table staging.fcm_tokens (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    token varchar(500) not null,
    device_name varchar(100),
    created_at timestamptz default now(),
    is_active boolean default true,
    constraint fcm_tokens_pkey primary key (id),
    constraint fcm_tokens_user_id_token_key unique (user_id, token),
    constraint fcm_tokens_user_id_fkey foreign key (user_id) references staging.users (id) on delete cascade
);

create index fcm_tokens_token_idx on staging.fcm_tokens (token);

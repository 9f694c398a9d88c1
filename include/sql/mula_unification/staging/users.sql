-- People: one per e-mail key. Times carry their zone; the seed's inline INDEX clauses are indexes here.
create table staging.users (
    id uuid not null default gen_random_uuid(),
    -- as long as an address can be: what is longer was rejected
    email varchar(320) not null,
    username varchar(100),
    oauth_provider varchar(50),
    oauth_id varchar(255),
    created_at timestamptz default now(),
    last_login timestamptz,
    constraint users_pkey primary key (id),
    constraint users_email_key unique (email)
);

-- a person is not two because of capital letters
create unique index users_email_spelling_key on staging.users (lower(email));
create index users_oauth_idx on staging.users (oauth_provider, oauth_id);

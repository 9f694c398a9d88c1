-- Schema auth in the shape that Supabase's own migrations give it, without its extensions. 19 tables.
create schema auth authorization supabase_auth_admin;
set local role supabase_auth_admin;
set local search_path = auth;

create type aal_level as enum ('aal1', 'aal2', 'aal3');
create type code_challenge_method as enum ('s256', 'plain');
create type factor_status as enum ('unverified', 'verified');
create type factor_type as enum ('totp', 'webauthn', 'phone');
create type oauth_authorization_status as enum ('pending', 'approved', 'denied', 'expired');
create type oauth_client_type as enum ('public', 'confidential');
create type oauth_registration_type as enum ('dynamic', 'manual');
create type oauth_response_type as enum ('code');
create type one_time_token_type as enum (
    'confirmation_token',
    'reauthentication_token',
    'recovery_token',
    'email_change_token_new',
    'email_change_token_current',
    'phone_change_token'
);

create table users (
    instance_id uuid,
    id uuid not null,
    aud character varying(255),
    role character varying(255),
    email character varying(255),
    encrypted_password character varying(255),
    email_confirmed_at timestamptz,
    invited_at timestamptz,
    confirmation_token character varying(255),
    confirmation_sent_at timestamptz,
    recovery_token character varying(255),
    recovery_sent_at timestamptz,
    email_change_token_new character varying(255),
    email_change character varying(255),
    email_change_sent_at timestamptz,
    last_sign_in_at timestamptz,
    raw_app_meta_data jsonb,
    raw_user_meta_data jsonb,
    is_super_admin boolean,
    created_at timestamptz,
    updated_at timestamptz,
    phone text default null,
    phone_confirmed_at timestamptz,
    phone_change text default '',
    phone_change_token character varying(255) default '',
    phone_change_sent_at timestamptz,
    confirmed_at timestamptz generated always as (least(email_confirmed_at, phone_confirmed_at)) stored,
    email_change_token_current character varying(255) default '',
    email_change_confirm_status smallint default 0,
    banned_until timestamptz,
    reauthentication_token character varying(255) default '',
    reauthentication_sent_at timestamptz,
    is_sso_user boolean not null default false,
    deleted_at timestamptz,
    is_anonymous boolean not null default false,
    constraint users_pkey primary key (id),
    constraint users_phone_key unique (phone),
    constraint users_email_change_confirm_status_check check (email_change_confirm_status between 0 and 2)
);
create unique index users_email_partial_key on users (email) where is_sso_user = false;
create unique index confirmation_token_idx on users (confirmation_token) where confirmation_token !~ '^[0-9 ]*$';
create unique index recovery_token_idx on users (recovery_token) where recovery_token !~ '^[0-9 ]*$';
create unique index email_change_token_current_idx on users (email_change_token_current)
where email_change_token_current !~ '^[0-9 ]*$';
create unique index email_change_token_new_idx on users (email_change_token_new)
where email_change_token_new !~ '^[0-9 ]*$';
create unique index reauthentication_token_idx on users (reauthentication_token)
where reauthentication_token !~ '^[0-9 ]*$';
create index users_instance_id_email_idx on users (instance_id, lower(email::text));
create index users_instance_id_idx on users (instance_id);
create index users_is_anonymous_idx on users (is_anonymous);
comment on table users is 'Auth: Stores user login data within a secure schema.';
comment on index users_email_partial_key is
'Auth: A partial unique index that applies only when is_sso_user is false';

create table instances (
    id uuid primary key,
    uuid uuid,
    raw_base_config text,
    created_at timestamptz,
    updated_at timestamptz
);

create table identities (
    provider_id text not null,
    user_id uuid not null references users on delete cascade,
    identity_data jsonb not null,
    provider text not null,
    last_sign_in_at timestamptz,
    created_at timestamptz,
    updated_at timestamptz,
    email text generated always as (lower(identity_data ->> 'email')) stored,
    id uuid not null default gen_random_uuid() primary key,
    constraint identities_provider_id_provider_unique unique (provider_id, provider)
);
create index identities_user_id_idx on identities (user_id);
create index identities_email_idx on identities (email text_pattern_ops);

create table oauth_clients (
    id uuid primary key,
    client_secret_hash text,
    registration_type oauth_registration_type not null,
    redirect_uris text not null,
    grant_types text not null,
    client_name text,
    client_type oauth_client_type not null default 'confidential',
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    deleted_at timestamptz
);

create table sessions (
    id uuid primary key,
    user_id uuid not null references users on delete cascade,
    created_at timestamptz,
    updated_at timestamptz,
    factor_id uuid,
    aal aal_level,
    not_after timestamptz,
    refreshed_at timestamp,
    user_agent text,
    ip inet,
    tag text,
    oauth_client_id uuid references oauth_clients on delete cascade
);
create index sessions_user_id_idx on sessions (user_id);

create table refresh_tokens (
    instance_id uuid,
    id bigint generated by default as identity primary key,
    token character varying(255) unique,
    user_id character varying(255),
    revoked boolean,
    created_at timestamptz,
    updated_at timestamptz,
    parent character varying(255),
    session_id uuid references sessions on delete cascade
);
create index refresh_tokens_session_id_revoked_idx on refresh_tokens (session_id, revoked);

create table mfa_factors (
    id uuid primary key,
    user_id uuid not null references users on delete cascade,
    friendly_name text,
    factor_type factor_type not null,
    status factor_status not null,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    secret text,
    phone text,
    last_challenged_at timestamptz unique,
    web_authn_credential jsonb,
    web_authn_aaguid uuid
);

create table mfa_challenges (
    id uuid primary key,
    factor_id uuid not null references mfa_factors on delete cascade,
    created_at timestamptz not null,
    verified_at timestamptz,
    ip_address inet not null,
    otp_code text,
    web_authn_session_data jsonb
);

create table mfa_amr_claims (
    session_id uuid not null references sessions on delete cascade,
    created_at timestamptz not null,
    updated_at timestamptz not null,
    authentication_method text not null,
    id uuid primary key,
    constraint mfa_amr_claims_session_id_authentication_method_pkey unique (session_id, authentication_method)
);

create table one_time_tokens (
    id uuid primary key,
    user_id uuid not null references users on delete cascade,
    token_type one_time_token_type not null,
    token_hash text not null check (char_length(token_hash) > 0),
    relates_to text not null,
    created_at timestamp not null default now(),
    updated_at timestamp not null default now()
);
create unique index one_time_tokens_user_id_token_type_key on one_time_tokens (user_id, token_type);

create table flow_state (
    id uuid primary key,
    user_id uuid,
    auth_code text not null,
    code_challenge_method code_challenge_method not null,
    code_challenge text not null,
    provider_type text not null,
    provider_access_token text,
    provider_refresh_token text,
    created_at timestamptz,
    updated_at timestamptz,
    authentication_method text not null,
    auth_code_issued_at timestamptz
);

create table sso_providers (
    id uuid primary key,
    resource_id text check (resource_id is null or char_length(resource_id) > 0),
    created_at timestamptz,
    updated_at timestamptz,
    disabled boolean
);

create table sso_domains (
    id uuid primary key,
    sso_provider_id uuid not null references sso_providers on delete cascade,
    domain text not null check (char_length(domain) > 0),
    created_at timestamptz,
    updated_at timestamptz
);

create table saml_providers (
    id uuid primary key,
    sso_provider_id uuid not null references sso_providers on delete cascade,
    entity_id text not null unique,
    metadata_xml text not null,
    metadata_url text,
    attribute_mapping jsonb,
    created_at timestamptz,
    updated_at timestamptz,
    name_id_format text
);

create table saml_relay_states (
    id uuid primary key,
    sso_provider_id uuid not null references sso_providers on delete cascade,
    request_id text not null,
    for_email text,
    redirect_to text,
    created_at timestamptz,
    updated_at timestamptz,
    flow_state_id uuid references flow_state on delete cascade
);

create table oauth_authorizations (
    id uuid primary key,
    authorization_id text not null unique,
    client_id uuid not null references oauth_clients on delete cascade,
    user_id uuid references users on delete cascade,
    redirect_uri text not null,
    scope text not null,
    state text,
    code_challenge text,
    code_challenge_method code_challenge_method,
    response_type oauth_response_type not null default 'code',
    status oauth_authorization_status not null default 'pending',
    authorization_code text unique,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null default now() + interval '3 minutes',
    approved_at timestamptz
);

create table oauth_consents (
    id uuid primary key,
    user_id uuid not null references users on delete cascade,
    client_id uuid not null references oauth_clients on delete cascade,
    scopes text not null,
    granted_at timestamptz not null default now(),
    revoked_at timestamptz,
    unique (user_id, client_id)
);

create table audit_log_entries (
    instance_id uuid,
    id uuid primary key,
    payload json,
    created_at timestamptz,
    ip_address character varying(64) not null default ''
);

create table schema_migrations (
    version character varying(255) primary key
);

-- Row-level security without a policy: nobody but the owner and roles that bypass it sees a row.
alter table users enable row level security;
alter table identities enable row level security;
alter table sessions enable row level security;
alter table refresh_tokens enable row level security;
alter table mfa_factors enable row level security;
alter table mfa_challenges enable row level security;
alter table mfa_amr_claims enable row level security;
alter table one_time_tokens enable row level security;
alter table flow_state enable row level security;
alter table instances enable row level security;
alter table audit_log_entries enable row level security;

create function uid() returns uuid
language sql stable
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.sub', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub'
    )::uuid
$$;

create function role() returns text
language sql stable
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.role', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role'
    )
$$;

create function email() returns text
language sql stable
as $$
    select coalesce(
        nullif(current_setting('request.jwt.claim.email', true), ''),
        nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'email'
    )
$$;

grant usage on schema auth to anon, authenticated, service_role, app_owner, app, cutover;
-- The application's owner refers to accounts; the migrating role may read, add and correct them, and watch writes.
grant references on users to app_owner;
grant select, insert, update, delete, references, trigger on users to cutover;
grant select, insert, delete on identities to cutover;
grant select (user_id), delete
on sessions, refresh_tokens, one_time_tokens, mfa_factors, flow_state, oauth_authorizations, oauth_consents to cutover;
grant all on users to service_role;

reset role;
reset search_path;

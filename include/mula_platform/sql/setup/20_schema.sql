-- The platform's own tables. Nothing here refers to a migrated table by a key, a view or a trigger, so that the next
-- swap has nothing to re-bind: whether a person and an account are still there is looked up at each request.
create schema if not exists platform;
revoke all on schema platform from public;
grant usage on schema platform to mula_platform;

-- When the newest launch that still stands went live: the end date of old tokens counts from here.
create table if not exists platform.launch (
    only_one boolean primary key default true check (only_one),
    swapped_at timestamptz not null
);
-- The newest entry of the ledger that this was set up after: rows of a later launch are not known yet.
alter table platform.launch add column if not exists entry bigint;

-- Password hashes, first as the source had them, after the first sign-in by password as Argon2id. Secret: for the
-- platform's role alone, never for the engine, whose copies and pages must not have them.
create table if not exists platform.credential (
    identity_id uuid primary key,
    -- what people type to sign in with it: the address as its application knew it, lower case without blanks around
    address text not null,
    hash text not null,
    carried_at timestamptz not null default now(),
    renewed_at timestamptz
);
create index if not exists credential_address_idx on platform.credential (address);

-- Accounts that the same person has proved from one session or more share a holder; an account without a row here is
-- its own. See platform.accounts_of.
create table if not exists platform.holding (
    identity_id uuid primary key,
    holder uuid not null,
    joined_by text not null check (joined_by in ('password', 'token', 'link')),
    joined_at timestamptz not null default now()
);

-- From which account a migrated row came (a united row: from each of several).
create table if not exists platform.origin (
    table_name text not null,
    row_id uuid not null,
    identity_id uuid not null,
    primary key (table_name, row_id, identity_id)
);
create index if not exists origin_identity_idx on platform.origin (identity_id);

create table if not exists platform.session (
    jti uuid primary key,
    user_id uuid not null,
    -- the account that was proved when it was opened
    identity_id uuid not null,
    way text not null check (way in ('password', 'token')),
    issued_at timestamptz not null default now(),
    expires_at timestamptz not null,
    revoked_at timestamptz,
    revoked_why text
);
-- A session of a rehearsal; of a person: null. It shows nothing but what /api/me says, and ends with its rehearsal.
alter table platform.session add column if not exists rehearsal uuid;
create index if not exists session_identity_idx on platform.session (identity_id);
create index if not exists session_rehearsal_idx on platform.session (rehearsal) where rehearsal is not null;
create index if not exists session_user_idx on platform.session (user_id);
create index if not exists session_expires_idx on platform.session (expires_at);

-- Tokens that work once: old ones that were exchanged, links that were followed. Digests, so that nobody can use what
-- stands here; kept for as long as the token would be accepted otherwise.
create table if not exists platform.used_token (
    digest bytea primary key,
    used_at timestamptz not null default now(),
    expires_at timestamptz not null
);
create index if not exists used_token_expires_idx on platform.used_token (expires_at);

-- The public halves of what new tokens are signed with; the private halves are files of the service.
create table if not exists platform.signing_key (
    kid text primary key,
    jwk jsonb not null,
    made_at timestamptz not null default clock_timestamp(),
    -- signs no more, is still believed until the last token that it has signed has expired
    retired_at timestamptz
);

-- Attempts that failed, by what is counted, in windows of fixed length.
create table if not exists platform.failure (
    bucket text not null,
    window_start timestamptz not null,
    attempts integer not null,
    primary key (bucket, window_start)
);
create index if not exists failure_window_idx on platform.failure (window_start);

-- How often a shared result was looked at here, by day; views before the launch are in the result itself.
create table if not exists platform.share_view (
    result_id uuid not null,
    day date not null,
    views bigint not null,
    primary key (result_id, day)
);

create table if not exists platform.feature_flag (
    name text primary key,
    is_on boolean not null,
    meaning text not null,
    changed_at timestamptz not null default now()
);
insert into platform.feature_flag (name, is_on, meaning) values
('dasha_timer', true, 'the Daily Dasha Timer'),
('compatibility', true, 'Cosmic Compatibility'),
('shared_results', true, 'shared results by their share code'),
('token_exchange', true, 'old tokens of both applications are exchanged'),
('account_deletion', true, 'people can delete their account'),
('moon_phase_rituals_soon', true, 'announced on the dashboard: Moon Phase Rituals'),
('remedy_of_the_day_soon', true, 'announced on the dashboard: Remedy of the Day'),
('ai_oracle_chat_soon', true, 'announced on the dashboard: AI Oracle Chat')
on conflict (name) do nothing;

-- The accounts of a person, each with who holds it: the accounts that were joined by a proof, and those whose provider
-- vouched for one address, are one holder's. A string and no `return`: it must not depend on a table of the swap.
create or replace function platform.accounts_of(person uuid)
returns table (
    identity_id uuid, source text, legacy_user_id text, email text, username text, created_at timestamptz,
    proved_at timestamptz, proved_by text, holder uuid, joined_by text, joined_at timestamptz
)
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select
        i.id, i.source, i.legacy_user_id, i.email, i.username, i.created_at, i.proved_at, i.proved_by,
        coalesce(h.holder, case when i.proved_by like 'oauth: %' then i.user_id else i.id end),
        h.joined_by, h.joined_at
    from public.legacy_identities as i
    left join platform.holding as h on h.identity_id = i.id
    where i.user_id = person
$$;

-- Whether a row of a person is to be shown to somebody who does not hold the accounts `hidden` of that person: it came
-- from none of them. Of a row whose account nobody knows only who holds all of a person's accounts may know.
create or replace function platform.is_shown(of_table text, of_row uuid, hidden uuid[])
returns boolean
language sql stable set search_path = pg_catalog, pg_temp
as $$
    select cardinality(hidden) = 0 or (
        exists (select from platform.origin as o where o.table_name = of_table and o.row_id = of_row)
        and not exists (
            select from platform.origin as o
            where o.table_name = of_table and o.row_id = of_row and o.identity_id = any(hidden)
        )
    )
$$;

revoke all on function platform.accounts_of(uuid) from public;
revoke all on function platform.is_shown(text, uuid, uuid[]) from public;
grant execute on function platform.accounts_of(uuid) to mula_platform;
grant execute on function platform.is_shown(text, uuid, uuid[]) to mula_platform;

grant select on platform.launch, platform.feature_flag to mula_platform;
grant select, delete on platform.origin to mula_platform;
grant select, insert, update, delete on
platform.credential,
platform.holding,
platform.session,
platform.used_token,
platform.signing_key,
platform.failure,
platform.share_view
to mula_platform;
grant update (is_on, changed_at) on platform.feature_flag to mula_platform;

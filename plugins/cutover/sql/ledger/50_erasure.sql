-- One person taken out of everything that the engine keeps: what was asked, who approved it, what was found.

-- The key of the digests below. Without it they say nothing; with it an address can be recognised, and not be read.
create table if not exists cutover.erasure_key (
    one boolean primary key default true check (one),
    key bytea not null default
    uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())
);
insert into cutover.erasure_key default values on conflict do nothing;

create or replace function cutover.person_digest(address text) returns text
language sql stable set search_path = '' as $$
    select pg_catalog.encode(pg_catalog.sha256(k.key || pg_catalog.convert_to(address, 'UTF8')), 'hex')
    from cutover.erasure_key as k
$$;
revoke all on function cutover.person_digest(text) from public;

create table if not exists cutover.erasure (
    erasure_id bigint generated always as identity primary key,
    migration text not null,
    -- who is meant, in clear, until it is done or given up; the digests stay, so that a return is noticed
    subject text,
    digests text[] not null,
    requested_by text not null,
    requested_at timestamptz not null default clock_timestamp(),
    -- {"raw.systemeio_contacts": {"deleted": 1}, …}
    counts jsonb,
    approved_by text,
    erased_at timestamptz
);

alter table cutover.rejects add column if not exists erased_at timestamptz;
alter table cutover.quarantine add column if not exists erased_at timestamptz;

alter table cutover.approvals drop constraint if exists approvals_action_check;
alter table cutover.approvals add constraint approvals_action_check
check (action in ('swap', 'rollback', 'drop_backups', 'erase_person', 'restore_people', 'announce'));

-- Messages to people: whom a run would tell, what became of each message, and who must not get any.

-- The people that a run would tell, as its approver was shown them: frozen, and kept no longer than they are needed.
create table if not exists cutover.audience (
    audience_id bigint generated always as identity primary key,
    run text not null references cutover.run (run),
    channel text not null check (channel in ('email', 'push')),
    -- keyed digest of who it is: says nothing without the key
    person text not null,
    email text,
    user_id text,
    name text,
    -- an address; or a person's devices, of which one is told: the others only where the one before is gone
    recipients text[],
    -- why the person is not told; null: is told
    skip text,
    -- keyed digest of all of it, which an approval is bound to; it stays when the person is erased
    digest text not null default '',
    erased_at timestamptz,
    unique (run, channel, person)
);

create or replace function cutover.audience_digest(of_row cutover.audience) returns text
language sql stable set search_path = '' as $$
    select cutover.person_digest(
        pg_catalog.jsonb_build_array(
            of_row.channel, of_row.person, of_row.email, of_row.user_id, of_row.name, of_row.recipients, of_row.skip
        )::text
    )
$$;
revoke all on function cutover.audience_digest(cutover.audience) from public;

-- What became of each message: one row per person, campaign and channel, whichever run has sent it. It is claimed
-- before it is sent; whose sender has died in between is unknown, and nobody sends that again by himself.
create table if not exists cutover.announcement (
    announcement_id bigint generated always as identity primary key,
    migration text not null,
    campaign text not null,
    channel text not null check (channel in ('email', 'push')),
    person text not null,
    -- keyed digest of the address, for unsubscribing and erasing
    address text,
    run text not null references cutover.run (run),
    -- deferred: refused for now, so certainly not delivered; it is tried again
    state text not null check (state in ('claimed', 'unknown', 'sent', 'failed', 'skipped', 'deferred')),
    reason text,
    attempts integer not null default 1,
    -- names the message to the outside, as in the address for unsubscribing: nobody can guess it
    letter uuid not null default gen_random_uuid(),
    -- the session that has claimed it
    sender_pid integer,
    sender_started timestamptz,
    claimed_at timestamptz not null default clock_timestamp(),
    ended_at timestamptz,
    unique (migration, campaign, channel, person)
);
create index if not exists announcement_run on cutover.announcement (run, channel, state);
create index if not exists announcement_letter on cutover.announcement (letter);
create index if not exists announcement_address on cutover.announcement (address);

-- Keyed digests of addresses and devices that get nothing any more. It survives that somebody is erased.
create table if not exists cutover.suppression (
    recipient text not null,
    reason text not null check (reason in ('unsubscribed', 'bounced', 'unregistered')),
    noted_at timestamptz not null default clock_timestamp(),
    primary key (recipient, reason)
);

-- For the application that answers the address for unsubscribing (RFC 8058): the person behind a letter gets no e-mail
-- of this kind any more. False: there is no such letter. Done again, it changes nothing.
create or replace function cutover.unsubscribe(of_letter uuid) returns boolean
language plpgsql security definer set search_path = '' as $$
declare
    of_address text;
begin
    select a.address into of_address from cutover.announcement as a where a.letter = of_letter;
    if of_address is null then
        return false;
    end if;
    insert into cutover.suppression (recipient, reason) values (of_address, 'unsubscribed') on conflict do nothing;
    return true;
end $$;
revoke all on function cutover.unsubscribe(uuid) from public;

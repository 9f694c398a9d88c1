-- The accounts that launches have made, with what they were made of, so that a rollback can take back those that nobody
-- has used, and the rollback's rollback can make them again.
create table if not exists cutover.made_account (
    account_id uuid primary key,
    run text not null,
    email text not null,
    created_at timestamptz not null,
    user_metadata jsonb not null,
    -- the rollback that took it back; null: it is there
    taken_back_by text
);

-- The launch that an entry of the ledger is about in the end, and whether its tables are in place after that entry.
create or replace function cutover.launch_of(entry text, out launch text, out in_place boolean)
language sql stable set search_path = '' as $$
    with recursive chain as (
        select
            l.run,
            l.undoes,
            0 as depth
        from cutover.ledger as l
        where l.run = launch_of.entry
        union all
        select
            l.run,
            l.undoes,
            chain.depth + 1
        from chain
        join cutover.ledger as l on l.run = chain.undoes
    )
    select
        chain.run,
        chain.depth % 2 = 0
    from chain
    where chain.undoes is null
$$;
revoke all on function cutover.launch_of(text) from public;

-- Of the accounts that a launch has made, those that nobody has used: never signed in, nothing on them but what the
-- launch and the sign-up trigger made. `apart`: tables that a rollback is about to put out of place.
create or replace function cutover.unused_accounts(launch text, apart oid[] default '{}') returns setof uuid
language plpgsql set search_path = '' as $$
declare
    key record;
    unused uuid[];
begin
    unused := array(
        select u.id
        from cutover.made_account as m
        join auth.users as u on u.id = m.account_id
        where m.run = launch and m.taken_back_by is null and u.last_sign_in_at is null
            and cutover.email_key(u.email) = m.email and coalesce(u.encrypted_password, '') = ''
            -- what was set aside is use, too
            and u.id::text not in (
                select v.value
                from cutover.set_aside as s
                cross join lateral unnest(s.values) as v (value)
                where s.put_back_by is null and v.value is not null
            )
    );
    for key in
        select
            k.conrelid::regclass as referring,
            k.confrelid::regclass as referred,
            a.attname
        from pg_catalog.pg_constraint as k
        join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = k.conkey[1]
        join pg_catalog.pg_class as c on c.oid = k.conrelid
        where k.contype = 'f' and k.conparentid = 0 and cardinality(k.conkey) = 1 and a.atttypid = 'uuid'::regtype
            and k.confrelid in ('auth.users'::regclass, 'public.unified_profiles'::regclass)
            -- what a launch puts in place, and what it put out of place
            and k.conrelid <> all(array_remove(array[
                to_regclass('public.unified_profiles'), to_regclass('public.leads'), to_regclass('auth.identities')
            ]::oid[] || apart, null))
            and c.relnamespace::regnamespace::text !~ '^(staging|backup_)'
            and pg_catalog.has_any_column_privilege(k.conrelid, 'select')
    loop
        execute format(
            'select array(select u.id from unnest($1) as u (id) where not exists ('
            'select from %s as o where o.%I = u.id))', key.referring, key.attname
        ) into unused using unused;
    end loop;
    return query
    select u.id
    from unnest(unused) as u (id)
    -- another provider's identity is somebody's
    where not exists (select from auth.identities as i where i.user_id = u.id and i.provider <> 'email');
end $$;
revoke all on function cutover.unused_accounts(text, oid[]) from public;

-- After a rollback: accounts that its launch made and nobody has used go, with the profile that the sign-up trigger
-- gave them.
create or replace function cutover.take_back_accounts(this_run text) returns bigint
language plpgsql set search_path = '' as $$
declare
    about record;
    unused uuid[];
begin
    about := cutover.launch_of(this_run);
    if about.in_place or about.launch is null then
        return 0;
    end if;
    -- whoever is signing in has the row now, and is not among them then; nothing comes to refer to the rest
    -- from here on
    perform u.id
    from auth.users as u
    where u.id in (select cutover.unused_accounts(about.launch))
    order by u.id
    for update;
    unused := array(select cutover.unused_accounts(about.launch));
    delete from auth.users as u where u.id = any(unused);
    -- that is no write of the application: carried on, it would take the customer out of the launch that comes back
    delete from cutover.changelog as l where l.xid = pg_current_xact_id();
    update cutover.made_account as m set taken_back_by = this_run where m.account_id = any(unused);
    -- all of this rollback's, also when a second try finds none
    return (select count(*) from cutover.made_account as m where m.taken_back_by = this_run);
end $$;
revoke all on function cutover.take_back_accounts(text) from public;

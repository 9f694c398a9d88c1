-- Accounts whose way in a launch has made void, because nobody had ever proved their address. Ids alone.
create table if not exists cutover.void_account (
    account_id uuid not null,
    run text not null,
    voided_at timestamptz not null default clock_timestamp(),
    primary key (account_id, run)
);

-- The customers' accounts whose own address was never confirmed, as they are at this moment: whoever signed up with
-- the address first may be anybody. (In PL/pgSQL, because `staging` need not be there when this is installed.)
create or replace function cutover.unproved_accounts() returns setof uuid
language plpgsql stable set search_path = '' as $$
begin
    return query
    select u.id
    from staging.users as staged
    join auth.users as u on u.id = staged.id
    where u.email_confirmed_at is null and cutover.email_key(u.email) = staged.email;
end $$;
revoke all on function cutover.unproved_accounts() from public;

-- Leaves such an account its id and all that hangs on it, and opens it to the mailbox alone: no password, no phone, no
-- session, token, second factor or identity of before, and confirmed like the accounts that a launch makes, so that a
-- sign-up with the address is refused. Run while clients wait. `tables` are those that rows go from; such as exist.
create or replace function cutover.void_unproved(this_run text, policy text, tables text[]) returns bigint
language plpgsql set search_path = '' as $$
declare
    accounts uuid[];
    assigned text;
    found record;
begin
    if policy = 'warn' then
        return 0;
    end if;
    accounts := array(select cutover.unproved_accounts());
    if cardinality(accounts) = 0 then
        return 0;
    end if;
    if policy = 'refuse' then
        raise exception 'the address of % customers'' accounts was never confirmed, such as %',
            cardinality(accounts), accounts[1]
            using hint = 'have them confirmed or removed in the application, or say `unconfirmed: void`.';
    end if;
    -- what a release of the sign-in service does not have needs no emptying
    select string_agg(format('%I = %s', known.name, known.value), ', ')
    into assigned
    from (
        values
        ('encrypted_password', ''''''),
        ('email_confirmed_at', 'now()'),
        ('confirmation_token', ''''''),
        ('recovery_token', ''''''),
        ('email_change', ''''''),
        ('email_change_token_new', ''''''),
        ('email_change_token_current', ''''''),
        ('email_change_confirm_status', '0'),
        ('reauthentication_token', ''''''),
        ('phone', 'null'),
        ('phone_confirmed_at', 'null'),
        ('phone_change', ''''''),
        ('phone_change_token', ''''''),
        ('raw_app_meta_data', 'coalesce(u.raw_app_meta_data, ''{}'') || ''{"provider": "email", "providers": ["email"]}'''),
        ('updated_at', 'now()')
    ) as known (name, value)
    join pg_catalog.pg_attribute as a
        on a.attrelid = 'auth.users'::regclass and a.attname = known.name and not a.attisdropped;
    execute format('update auth.users as u set %s where u.id = any($1)', assigned) using accounts;

    for found in
        select
            format('%I.%I', n.nspname, c.relname) as name,
            format_type(a.atttypid, null) as type,
            exists (
                select from pg_catalog.pg_attribute as p
                where p.attrelid = c.oid and p.attname = 'provider' and not p.attisdropped
            ) as has_provider
        from unnest(tables) as t (name)
        join pg_catalog.pg_class as c on c.oid = to_regclass(t.name)
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        join pg_catalog.pg_attribute as a on a.attrelid = c.oid and a.attname = 'user_id' and not a.attisdropped
    loop
        execute format(
            'delete from %s as o where o.user_id = any($1::text[]::%s[])%s', found.name, found.type,
            -- the mailbox signs in by the identity of its own address; another service's word for the
            -- same address holds
            case when found.has_provider then
                ' and not (cutover.email_key(o.identity_data ->> ''email'') = ('
                'select cutover.email_key(u.email) from auth.users as u where u.id = o.user_id'
                ') and (o.provider = ''email'' or o.identity_data ->> ''email_verified'' = ''true''))'
            else '' end
        ) using accounts;
    end loop;
    insert into auth.identities (id, provider_id, user_id, identity_data, provider, created_at, updated_at)
    select
        md5('clean_launch/identities/' || u.id)::uuid,
        u.id::text,
        u.id,
        jsonb_build_object('sub', u.id, 'email', u.email, 'email_verified', true),
        'email',
        now(),
        now()
    from auth.users as u
    where u.id = any(accounts)
        and not exists (select from auth.identities as i where i.user_id = u.id and i.provider = 'email')
    on conflict do nothing;
    insert into cutover.void_account (account_id, run) select a.id, this_run from unnest(accounts) as a (id)
    on conflict do nothing;
    return cardinality(accounts);
end $$;
revoke all on function cutover.void_unproved(text, text, text[]) from public;

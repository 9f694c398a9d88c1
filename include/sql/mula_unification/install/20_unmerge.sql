-- Takes one account out of a person again, with everything that came from it: for the day on which two people turn out
-- to have shared an address. The other account stays the person it was; this one becomes a person of its own.
--     select * from cutover.unmerge('compatibility', '17', 'ben@example.com');
-- The address must be another one, because an address is one person. A later launch leaves the two apart: it goes by
-- legacy_identities, which says whose account it is now. Returns how many rows went along, by table.
create or replace function cutover.unmerge(from_source text, account text, address text)
returns table (table_name text, moved bigint)
language plpgsql
set search_path = pg_catalog, pg_temp set timezone = 'UTC'
as $$
declare
    new_id constant uuid := md5('mula_unification/unmerged/' || from_source || '/' || account)::uuid;
    old_id uuid;
    ledger cutover.merge;
    own jsonb;
    remaining jsonb;
begin
    select i.user_id into old_id
    from public.legacy_identities as i
    where i.source = from_source and i.legacy_user_id = account
    for update;
    if old_id is null then
        raise exception 'no account % of %', account, from_source
            using hint = 'legacy_identities has every account under (source, legacy_user_id).';
    end if;
    -- the newest launch that recorded the account with the others; of these, who is this person to this day
    select m.* into ledger
    from cutover.merge as m
    where m.user_id = old_id
        and m.accounts @> jsonb_build_array(jsonb_build_object('source', from_source, 'legacy_user_id', account))
    order by m.recorded_at desc
    limit 1;
    select a.value into own
    from jsonb_array_elements(ledger.accounts) as a
    where a.value ->> 'source' = from_source and a.value ->> 'legacy_user_id' = account;
    select jsonb_agg(a.value order by a.position) into remaining
    from jsonb_array_elements(ledger.accounts) with ordinality as a (value, position)
    join public.legacy_identities as i
        on i.source = a.value ->> 'source' and i.legacy_user_id = a.value ->> 'legacy_user_id' and i.user_id = old_id
    where not (i.source = from_source and i.legacy_user_id = account);
    if remaining is null then
        raise exception 'account % of % is not merged with another', account, from_source
            using hint = 'cutover.merge has every person who was made of several accounts.';
    end if;
    if cutover.email_key(address) is null or exists (
        select from public.users as u where lower(u.email) = cutover.email_key(address)
    ) then
        raise exception '% cannot be this person''s address: it is not usable, or is somebody''s already', address
            using hint = 'Ask the person for the address to sign in with.';
    end if;

    insert into public.users (id, email, username, oauth_provider, oauth_id, created_at, last_login)
    select
        new_id,
        cutover.email_key(address),
        own ->> 'username',
        own ->> 'oauth_provider',
        own ->> 'oauth_id',
        (own ->> 'created_at')::timestamptz,
        (own ->> 'last_login')::timestamptz;

    -- the person who stays: what the account had given goes, and what the next one gives comes, unless it was changed
    update public.users as u set
        username = case
            when u.username = own ->> 'username' or (u.username is null and first_of.is_alone)
                then first_of.username
            else u.username
        end,
        oauth_provider = case when u.oauth_id = own ->> 'oauth_id' then first_of.oauth_provider else u.oauth_provider end,
        oauth_id = case when u.oauth_id = own ->> 'oauth_id' then first_of.oauth_id else u.oauth_id end,
        created_at = case
            when u.created_at = (own ->> 'created_at')::timestamptz then first_of.created_at else u.created_at
        end,
        last_login = case
            when u.last_login = (own ->> 'last_login')::timestamptz then first_of.last_login else u.last_login
        end
    from (
        select
            (array_agg(a.value ->> 'username' order by a.position) filter (
                where a.value ->> 'username' is not null and (a.counts or (a.value ->> 'is_proved')::boolean)
            ))[1] as username,
            (array_agg(a.value ->> 'oauth_provider' order by a.position) filter (
                where a.value ->> 'oauth_id' is not null and (a.counts or (a.value ->> 'is_proved')::boolean)
            ))[1] as oauth_provider,
            (array_agg(a.value ->> 'oauth_id' order by a.position) filter (
                where a.value ->> 'oauth_id' is not null and (a.counts or (a.value ->> 'is_proved')::boolean)
            ))[1] as oauth_id,
            -- of several accounts those that are proved give something, and one that is alone
            bool_and(a.counts) as is_alone,
            min((a.value ->> 'created_at')::timestamptz) as created_at,
            max((a.value ->> 'last_login')::timestamptz) as last_login
        from (
            select e.value, e.position, jsonb_array_length(remaining) = 1 as counts
            from jsonb_array_elements(remaining) with ordinality as e (value, position)
        ) as a
    ) as first_of
    where u.id = old_id;

    update public.legacy_identities as i set user_id = new_id
    where i.source = from_source and i.legacy_user_id = account;

    -- also for a launch that finds no unified database, after a rollback
    insert into cutover.unmerged as known (source, legacy_user_id, user_id, email_key)
    values (from_source, account, new_id, cutover.email_key(address))
    on conflict (source, legacy_user_id) do update
        set
            user_id = excluded.user_id,
            email_key = excluded.email_key,
            unmerged_at = clock_timestamp();

    -- two defaults may part here and leave somebody without one, so both are chosen again below
    update public.birth_charts as c set user_id = new_id, is_default = false
    from (
        select r.id::text from raw.dasha_birth_charts as r where from_source = 'dasha' and r.user_id::text = account
        union all
        select r.id::text from raw.compatibility_birth_charts as r
        where from_source = 'compatibility' and r.user_id::text = account
    ) as r
    where c.user_id = old_id and c.id = md5('mula_unification/birth_charts/' || from_source || '/' || r.id)::uuid;
    get diagnostics moved = row_count;
    table_name := 'birth_charts';
    return next;

    update public.birth_charts as c set is_default = true
    from (
        select distinct on (c.user_id) c.id
        from public.birth_charts as c
        join (
            select md5('mula_unification/birth_charts/dasha/' || r.id)::uuid as id
            from raw.dasha_birth_charts as r
            where r.is_default
            union all
            select md5('mula_unification/birth_charts/compatibility/' || r.id)::uuid
            from raw.compatibility_birth_charts as r
            where r.is_default
        ) as was on was.id = c.id
        where c.user_id in (old_id, new_id)
            and not exists (
                select from public.birth_charts as other where other.user_id = c.user_id and other.is_default
            )
        order by c.user_id, c.created_at desc, c.id
    ) as chosen
    where c.id = chosen.id;

    update public.dasha_data as d set user_id = new_id
    from raw.dasha_dasha_data as r
    where from_source = 'dasha' and r.user_id::text = account and d.user_id = old_id
        and d.id = md5('mula_unification/dasha_data/dasha/' || r.id)::uuid;
    get diagnostics moved = row_count;
    table_name := 'dasha_data';
    return next;

    update public.compatibility_results as d set user_id = new_id
    from raw.compatibility_results as r
    where from_source = 'compatibility' and r.user_id::text = account and d.user_id = old_id
        and d.id = md5('mula_unification/compatibility_results/compatibility/' || r.id)::uuid;
    get diagnostics moved = row_count;
    table_name := 'compatibility_results';
    return next;

    update public.subscriptions as s set user_id = new_id
    from (
        select r.id::text from raw.dasha_subscriptions as r where from_source = 'dasha' and r.user_id::text = account
        union all
        select r.id::text from raw.compatibility_subscriptions as r
        where from_source = 'compatibility' and r.user_id::text = account
    ) as r
    where s.user_id = old_id and s.id = md5('mula_unification/subscriptions/' || from_source || '/' || r.id)::uuid;
    get diagnostics moved = row_count;
    table_name := 'subscriptions';
    return next;

    -- a device that both accounts had registered: nobody knows whose it is, so it rings for the person who stays
    update public.fcm_tokens as t set user_id = new_id
    from (
        select r.id::text, r.token from raw.dasha_fcm_tokens as r where from_source = 'dasha' and r.user_id::text = account
        union all
        select r.id::text, r.token from raw.compatibility_fcm_tokens as r
        where from_source = 'compatibility' and r.user_id::text = account
    ) as r
    where t.user_id = old_id and t.token = r.token
        and t.id = md5('mula_unification/fcm_tokens/' || from_source || '/' || r.id)::uuid
        and not exists (
            select
            from jsonb_array_elements(remaining) as other
            join (
                select 'dasha' as source, d.user_id::text, d.token from raw.dasha_fcm_tokens as d
                union all
                select 'compatibility', d.user_id::text, d.token from raw.compatibility_fcm_tokens as d
            ) as theirs
                on theirs.source = other.value ->> 'source' and theirs.user_id = other.value ->> 'legacy_user_id'
            where theirs.token = r.token
        );
    get diagnostics moved = row_count;
    table_name := 'fcm_tokens';
    return next;

    -- united preferences stay with the person who stays; this one gets its own back, as its source has them
    insert into public.user_preferences (
        id, user_id, notifications_enabled, daily_dasha_reminder, email_enabled, marketing_emails,
        daily_reminder_time, timezone, data, updated_at
    )
    select
        md5('mula_unification/unmerged/user_preferences/' || from_source || '/' || p.id)::uuid, new_id,
        p.notifications_enabled, coalesce(p.daily_dasha_reminder, true), p.email_enabled, p.marketing_emails,
        coalesce(p.daily_reminder_time, time '09:00'), p.timezone, coalesce(p.data, '{}'), p.updated_at
    from (
        select
            r.id::text, r.notifications_enabled, r.daily_dasha_reminder, r.email_enabled, r.marketing_emails,
            r.daily_reminder_time, r.timezone, r.data, r.updated_at
        from raw.dasha_user_preferences as r
        where from_source = 'dasha' and r.user_id::text = account
        union all
        select
            r.id::text, r.notifications_enabled, null, r.email_enabled, r.marketing_emails, null, r.timezone, r.data,
            r.updated_at
        from raw.compatibility_user_preferences as r
        where from_source = 'compatibility' and r.user_id::text = account
    ) as p
    order by p.updated_at desc nulls last, p.id
    limit 1;
    get diagnostics moved = row_count;
    table_name := 'user_preferences';
    return next;

    -- what the one who goes had agreed to was never agreed to by the one who stays, unless they have said so since
    update public.user_preferences as p set
        marketing_emails = p.marketing_emails and coalesce(theirs.marketing_emails, false),
        notifications_enabled = p.notifications_enabled and coalesce(theirs.notifications_enabled, true),
        email_enabled = p.email_enabled and coalesce(theirs.email_enabled, true)
    from (
        select
            (array_agg(said.marketing_emails order by said.updated_at desc nulls last)
                filter (where said.is_theirs and said.marketing_emails is not null))[1] as marketing_emails,
            (array_agg(said.notifications_enabled order by said.updated_at desc nulls last)
                filter (where said.is_theirs and said.notifications_enabled is not null))[1] as notifications_enabled,
            (array_agg(said.email_enabled order by said.updated_at desc nulls last)
                filter (where said.is_theirs and said.email_enabled is not null))[1] as email_enabled,
            max(said.updated_at) as updated_at
        from (
            select
                r.marketing_emails, r.notifications_enabled, r.email_enabled, r.source,
                coalesce(r.updated_at, r.api_synced_at) as updated_at,
                not (r.source = from_source and r.user_id = account) as is_theirs
            from (
                select
                    'dasha' as source, d.user_id::text as user_id, d.marketing_emails, d.notifications_enabled,
                    d.email_enabled, d.updated_at, d.api_synced_at
                from raw.dasha_user_preferences as d
                union all
                select
                    'compatibility', d.user_id::text, d.marketing_emails, d.notifications_enabled, d.email_enabled,
                    d.updated_at, d.api_synced_at
                from raw.compatibility_user_preferences as d
            ) as r
            where (r.source = from_source and r.user_id = account)
                or exists (
                    select
                    from jsonb_array_elements(remaining) as other
                    where other.value ->> 'source' = r.source and other.value ->> 'legacy_user_id' = r.user_id
                )
        ) as said
    ) as theirs
    where p.user_id = old_id and p.updated_at <= theirs.updated_at;

    update public.activity_log as l set user_id = new_id
    where l.user_id = old_id and l.action = 'account_migrated' and l.metadata ->> 'source' = from_source
        and l.metadata ->> 'legacy_user_id' = account;
    get diagnostics moved = row_count;
    table_name := 'activity_log';
    return next;

    update cutover.merge as m set undone = coalesce(m.undone, '[]') || own, undone_at = clock_timestamp()
    where m.run = ledger.run and m.user_id = ledger.user_id;
end $$;
revoke all on function cutover.unmerge(text, text, text) from public;

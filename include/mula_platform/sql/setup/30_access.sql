-- What the platform's role may with the unified database's tables, and the one thing of the engine's that it may call.
-- After the first launch, and again after one that was rolled back: those tables are new. A repeat keeps grants.
grant usage on schema public to mula_platform;

grant select, delete on public.users to mula_platform;
grant update (last_login) on public.users to mula_platform;
grant select on public.legacy_identities to mula_platform;
grant update (proved_at, proved_by) on public.legacy_identities to mula_platform;
grant select on public.birth_charts to mula_platform;
grant update (is_default) on public.birth_charts to mula_platform;
grant select on public.dasha_data to mula_platform;
grant select on public.compatibility_results to mula_platform;
grant select, delete on public.subscriptions to mula_platform;
grant update (status, plan_name, monthly_amount, next_billing_at) on public.subscriptions to mula_platform;
grant select on public.user_preferences to mula_platform;
grant insert (
    user_id, notifications_enabled, daily_dasha_reminder, email_enabled, marketing_emails, daily_reminder_time, timezone
) on public.user_preferences to mula_platform;
grant update (
    notifications_enabled,
    daily_dasha_reminder,
    email_enabled,
    marketing_emails,
    daily_reminder_time,
    timezone,
    updated_at
) on public.user_preferences to mula_platform;
grant select on public.activity_log to mula_platform;
grant insert (user_id, action, metadata) on public.activity_log to mula_platform;

-- Takes an account out of a person as cutover.unmerge does, for the platform, which has no right to raw and cutover.
-- The account gets an address that no mail reaches; whoever it belongs to signs in with what they always typed.
-- Returns the person that the account is now, or null if it is not that person's any more.
create or replace function platform.unmerge(person uuid, identity uuid)
returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    account record;
    parted uuid;
begin
    select i.source, i.legacy_user_id into account
    from public.legacy_identities as i
    where i.id = identity and i.user_id = person
    for update;
    if not found then
        return null;
    end if;
    perform from cutover.unmerge(
        account.source, account.legacy_user_id,
        format('%s-%s@unmerged.invalid', account.source, account.legacy_user_id)
    );
    select i.user_id into parted from public.legacy_identities as i where i.id = identity;
    return parted;
end $$;
revoke all on function platform.unmerge(uuid, uuid) from public;
grant execute on function platform.unmerge(uuid, uuid) to mula_platform;
-- with the rights of the engine's role, which owns the tables, and not of whoever runs this
do $$
begin
    execute format(
        'alter function platform.unmerge(uuid, uuid) owner to %s',
        (select proowner::regrole from pg_catalog.pg_proc where oid = 'cutover.unmerge(text, text, text)'::regprocedure)
    );
end $$;

-- A first launch: the unified application's role gets what an application needs. Later launches take over the grants
-- that they find. A deployment whose application has another role grants by hand, and those grants stay as well.
do $$
begin
    if exists (select from pg_catalog.pg_roles where rolname = 'mula_app') then
        grant select, insert, update, delete on table
            public.users,
            public.legacy_identities,
            public.birth_charts,
            public.dasha_data,
            public.compatibility_results,
            public.subscriptions,
            public.fcm_tokens,
            public.user_preferences,
            public.activity_log
        to mula_app;
    end if;
end $$

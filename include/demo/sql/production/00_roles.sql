-- The roles of a hosted Supabase project, the owner of the application's tables, and the one that migrates.
-- Roles belong to the cluster, not to the database, so they may be there already; and neither they nor privileges on
-- a database come along when it is copied. So this runs at every load, also when the rest is there.
do $$
declare
    wanted record;
begin
    for wanted in
        select *
        from (
            values
            ('anon', 'nologin noinherit'),
            ('authenticated', 'nologin noinherit'),
            ('service_role', 'nologin noinherit bypassrls'),
            ('supabase_auth_admin', 'nologin noinherit createrole'),
            ('app_owner', 'nologin'),
            ('app', 'login noinherit'),
            -- not a superuser; it reads auth.users, whose row-level security has no policy, so it bypasses that
            ('cutover', 'login nosuperuser bypassrls')
        ) as roles (name, options)
    loop
        if not exists (select from pg_catalog.pg_roles where rolname = wanted.name) then
            execute format('create role %I %s', wanted.name, wanted.options);
        elsif wanted.options like '% bypassrls' and exists (
            select from pg_catalog.pg_roles where rolname = wanted.name and not rolbypassrls
        ) then
            -- another demonstration on this server needs less
            execute format('alter role %I %s', wanted.name, wanted.options);
        end if;
    end loop;
end
$$;

-- The simulated application connects as `app` and becomes whom the request's token names, as PostgREST does.
grant anon to app;
grant authenticated to app;
grant service_role to app;
grant app_owner to cutover;
-- a swap must see whether another session reads from before the staged rows
grant pg_read_all_stats to cutover;

do $$
begin
    execute format('grant create on database %I to cutover, app_owner, supabase_auth_admin', current_database());
end
$$;

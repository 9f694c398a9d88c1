-- The roles that the engine needs, and the least that each may do. Run by an administrator in the target database, once
-- before the first run and once after it (the engine's tables are there then); every statement can be run again.
--
-- Say before it, in the same session:
--     set cutover.owner = 'app_owner';      -- the role that owns the tables to be swapped
--     set cutover.merged = 'auth.users';    -- tables that receive rows and are never replaced, separated by commas
--     set cutover.inserts = 'auth.identities';  -- further tables that rows are added to (`inserts` of migration.yaml)
--
-- cutover            the login of the Airflow connection: runs every task. No superuser.
-- cutover_extract    writes `raw` and the sync's own tables; cannot even read production.
-- cutover_transform  reads production and `raw`, writes `input` and `staging`; cannot write production.
-- The last two are for people and programs that do one of these by hand, and for connections of their own.
do $$
declare
    owner text := nullif(current_setting('cutover.owner', true), '');
    merged regclass;
    added_to regclass;
    name text;
begin
    for name in select * from unnest(array['cutover', 'cutover_extract', 'cutover_transform']) loop
        if not exists (select from pg_catalog.pg_roles as r where r.rolname = name) then
            execute format('create role %I nologin', name);
        end if;
    end loop;
    -- Row-level security must never make a row invisible to a migration: what it does not see, it would lose.
    alter role cutover bypassrls;
    alter role cutover_transform bypassrls;
    grant cutover_extract, cutover_transform to cutover;
    -- to see who is in the way of a lock, and whose snapshot is older than the staged rows
    grant pg_read_all_stats to cutover;
    -- schemas staging, input and backup_<run> come and go
    execute format('grant create on database %I to cutover, cutover_transform', current_database());

    create schema if not exists raw authorization cutover_extract;
    create schema if not exists cutover authorization cutover;
    revoke all on schema raw, cutover from public;
    grant usage on schema raw to cutover_transform;
    grant usage on schema cutover to cutover_extract, cutover_transform;
    alter default privileges for role cutover_extract in schema raw grant select on tables to cutover_transform;

    if owner is not null then
        -- moving a table, and making anew what depends on it, are its owner's rights
        execute format('grant %I to cutover', owner);
        for name in
            select distinct n.nspname
            from pg_catalog.pg_class as c
            join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
            where c.relowner = owner::regrole and c.relkind = 'r'
                and n.nspname !~ '^(staging|input|raw|cutover|backup_.*)$'
        loop
            execute format('grant usage, create on schema %I to cutover, %I', name, owner);
            execute format('grant usage on schema %I to cutover_transform', name);
            execute format('grant select on all tables in schema %I to cutover_transform', name);
        end loop;
    end if;

    for merged in
        select to_regclass(btrim(m.table_name))
        from string_to_table(coalesce(current_setting('cutover.merged', true), ''), ',') as m (table_name)
        where to_regclass(btrim(m.table_name)) is not null
    loop
        select n.nspname into name
        from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where c.oid = merged;
        execute format('grant usage on schema %I to cutover, cutover_transform', name);
        -- update is what PostgreSQL asks of a role that locks a table against writers; nothing is updated
        execute format('grant select, insert, update, references on %s to cutover', merged);
        execute format('grant select on %s to cutover_transform', merged);
    end loop;

    for added_to in
        select to_regclass(btrim(a.table_name))
        from string_to_table(coalesce(current_setting('cutover.inserts', true), ''), ',') as a (table_name)
        where to_regclass(btrim(a.table_name)) is not null
    loop
        execute format('grant insert on %s to cutover', added_to);
    end loop;

    for name in
        select c.relname
        from pg_catalog.pg_class as c
        where c.relnamespace = 'cutover'::regnamespace and c.relkind = 'r'
    loop
        if name like 'sync%' or name = 'lineage' then
            execute format('grant select, insert, update, delete on cutover.%I to cutover_extract', name);
        elsif name in ('rejects', 'reconciliation') then
            execute format('grant select, insert, update, delete on cutover.%I to cutover_extract, cutover_transform', name);
        elsif name = 'run' then
            execute format('grant select on cutover.%I to cutover_extract, cutover_transform', name);
        end if;
    end loop;
end $$;

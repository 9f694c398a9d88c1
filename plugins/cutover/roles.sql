-- The roles that the engine needs, and the least that each may do. Run by an administrator in the target database, once
-- before the first run and once after it (the engine's tables are there then); every statement can be run again.
--
-- Say before it, in the same session:
--     set cutover.owner = 'app_owner';      -- the role that owns the tables to be swapped
--     set cutover.merged = 'auth.users';    -- tables that receive rows and are never replaced, separated by commas
--     set cutover.inserts = 'auth.identities';  -- further tables that rows are added to (`inserts` of migration.yaml)
--     set cutover.deletes = 'auth.sessions, ...';  -- what accounts' rows go from (`deletes`)
--
-- cutover            the login of the Airflow connection: runs every task. No superuser.
-- cutover_extract    writes `raw` and the sync's own tables; cannot even read production.
-- cutover_transform  reads production and `raw`, and writes a schema of its own, `workbench`; nothing else.
-- The last two are for people and programs that do one of these by hand, and for connections of their own.
do $$
declare
    owner text := nullif(current_setting('cutover.owner', true), '');
    merged regclass;
    added_to regclass;
    taken_from regclass;
    name text;
begin
    for name in select * from unnest(array['cutover', 'cutover_extract', 'cutover_transform']) loop
        if not exists (select from pg_catalog.pg_roles as r where r.rolname = name) then
            execute format('create role %I nologin', name);
        end if;
    end loop;
    -- an administrator that is no superuser makes schemas only for roles that it may become
    if not (select r.rolsuper from pg_catalog.pg_roles as r where r.rolname = current_user) then
        execute format('grant cutover, cutover_extract, cutover_transform to %I', current_user);
    end if;
    -- what a role is a member of counts without `set role`
    alter role cutover inherit;
    -- Row-level security must never make a row invisible to a migration: what it does not see, it would lose.
    begin
        alter role cutover bypassrls;
        alter role cutover_transform bypassrls;
    exception when insufficient_privilege then
        raise warning 'only a role that has it may give bypassrls: the first task says whether it is needed here';
    end;
    grant cutover_extract, cutover_transform to cutover;
    -- to see who is in the way of a lock, and whose snapshot is older than the staged rows
    begin
        grant pg_read_all_stats to cutover;
    exception when insufficient_privilege then
        begin
            -- what the administrator of a hosted platform may give: it has the other in it
            grant pg_monitor to cutover;
        exception when insufficient_privilege then
            raise warning 'pg_read_all_stats could not be given: ask whoever runs the server for it';
        end;
    end;
    -- schemas staging, input and backup_<run> come and go, and are the engine's alone
    execute format('grant create on database %I to cutover', current_database());
    execute format('revoke create on database %I from cutover_extract, cutover_transform', current_database());

    create schema if not exists raw authorization cutover;
    create schema if not exists cutover authorization cutover;
    create schema if not exists workbench authorization cutover_transform;
    alter schema raw owner to cutover;
    revoke all on schema raw, cutover, workbench from public;
    grant usage, create on schema raw to cutover_extract;
    grant usage on schema raw to cutover_transform;
    alter default privileges for role cutover in schema raw
    grant select, insert, update, delete on tables to cutover_extract;
    alter default privileges for role cutover in schema raw grant select on tables to cutover_transform;
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
        -- update is what PostgreSQL asks of a role that locks a table against writers, and what makes an account void
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

    for taken_from, name in
        select
            to_regclass(btrim(t.table_name)),
            ', select (' || string_agg(quote_ident(a.attname), ', ' order by a.attnum) || ')'
        from string_to_table(coalesce(current_setting('cutover.deletes', true), ''), ',') as t (table_name)
        left join pg_catalog.pg_attribute as a
            -- no more than says whose a row is, and never a token
            on a.attrelid = to_regclass(btrim(t.table_name)) and not a.attisdropped
                and a.attname in ('user_id', 'provider', 'identity_data')
        where to_regclass(btrim(t.table_name)) is not null
        group by 1
    loop
        execute format('grant delete%s on %s to cutover', name, taken_from);
    end loop;

    -- Of the engine's tables: a sync keeps its own state. What a launch is judged by is written by nobody else.
    revoke all on all tables in schema cutover from cutover_extract, cutover_transform;
    revoke all on all sequences in schema cutover from cutover_extract, cutover_transform;
    for name in
        select c.relname
        from pg_catalog.pg_class as c
        where c.relnamespace = 'cutover'::regnamespace and c.relkind = 'r'
    loop
        if name like 'sync%' then
            execute format('grant select, insert, update, delete on cutover.%I to cutover_extract', name);
        elsif name = 'lineage' then
            execute format('grant select on cutover.%I to cutover_extract, cutover_transform', name);
        elsif name = 'rejects' then
            -- rows that a sync could not store: added, for no run, and never changed
            grant select, insert (sync_id, source, source_id, reason, detail, source_row, source_bytes)
            on cutover.rejects to cutover_extract;
            grant select on cutover.rejects to cutover_transform;
        elsif name in ('run', 'reconciliation') then
            execute format('grant select on cutover.%I to cutover_transform', name);
        end if;
    end loop;
    -- functions that run with the engine's rights are for its triggers
    for name in
        select p.oid::regprocedure::text
        from pg_catalog.pg_proc as p
        where p.pronamespace = 'cutover'::regnamespace and p.prosecdef
    loop
        execute format('revoke all on function %s from public', name);
    end loop;
end $$;

-- The last of the files, since for the time until the commit an upgrade may keep clients waiting here: what earlier
-- versions of the changelog lack is added in a moment when nobody is writing to it, asked for in short tries.
do $$
declare
    usual constant text := current_setting('lock_timeout');
begin
    if exists (
        select from pg_catalog.pg_attribute as a
        where a.attrelid = 'cutover.changelog'::regclass and a.attname = 'new_image'
    ) and not exists (
        select from pg_catalog.pg_constraint as k where k.conrelid = 'cutover.changelog'::regclass and k.contype = 'c'
    ) then
        return;
    end if;
    for attempt in 1..300 loop
        begin
            perform set_config('lock_timeout', '100ms', true);
            lock table cutover.changelog in access exclusive mode;
            exit;
        exception
            when lock_not_available then
                perform pg_sleep(0.1 + 0.2 * random());
        end;
    end loop;
    -- A check is read and compiled again for each statement, which is for every row: a quarter of what capture costs.
    alter table cutover.changelog
    drop constraint if exists changelog_operation_check,
    add column if not exists attributes smallint,
    add column if not exists old_image text,
    add column if not exists new_image text;
    perform set_config('lock_timeout', usual, true);
end $$;

-- The number of the last column that a table has, as the session sees the table when it writes to it: not as its
-- snapshot does, which may be from before a column came. It is immutable for the planner alone: the plan that holds
-- the number names the table, and is made anew when the table changes.
-- It asks for each number that there may be: those of the snapshot, and 32 that may have come since. Asking for all
-- 1,600 kept the first write of each session waiting for 8 ms a table. (Where more than 32 have come since the snapshot
-- of a transaction that writes, its rows go to the quarantine: their columns cannot be told.)
create or replace function cutover.last_column(relation regclass) returns smallint
language sql immutable set search_path = pg_catalog, pg_temp as $$
    select max(a.attnum)::smallint
    from generate_series(
        1, coalesce((select c.relnatts + 32 from pg_catalog.pg_class as c where c.oid = relation), 1600)
    ) as a (attnum)
    where pg_catalog.has_column_privilege(relation::oid, a.attnum::smallint, 'select') is not null
$$;
revoke all on function cutover.last_column(regclass) from public;

-- A row whose text is longer than PostgreSQL can hold (1 GB) is recorded without it: it goes to the quarantine, and is
-- whole in the table. Called for large rows alone, because a subtransaction for each row would disturb production.
create or replace function cutover.capture_large(relid oid, operation text, old_row record, new_row record) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
    insert into cutover.changelog (relid, operation, attributes, old_image, new_image)
    select
        capture_large.relid,
        capture_large.operation,
        cutover.last_column(capture_large.relid::regclass),
        case when capture_large.operation <> 'insert' then pg_catalog.concat(old_row) end,
        case when capture_large.operation <> 'delete' then pg_catalog.concat(new_row) end;
exception
    when others then
        insert into cutover.changelog (relid, operation) values (capture_large.relid, capture_large.operation);
end $$;
revoke all on function cutover.capture_large(oid, text, record, record) from public;

-- What says that all rows of a table are gone, and what earlier versions put on each row.
create or replace function cutover.capture() returns trigger
language plpgsql security definer
set search_path = pg_catalog, pg_temp set datestyle = 'ISO' set intervalstyle = 'postgres' set timezone = 'UTC'
set extra_float_digits = 3 set bytea_output = 'hex' set lc_monetary = 'C' as $$
begin
    if tg_op = 'UPDATE' then
        if pg_catalog.pg_column_size(old) + pg_catalog.pg_column_size(new) > 1000000 then
            perform cutover.capture_large(tg_relid, 'update', old, new);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, old_image, new_image)
        select c.oid, 'update', c.relnatts, pg_catalog.concat(old), pg_catalog.concat(new)
        from pg_catalog.pg_class as c
        where c.oid = tg_relid;
    elsif tg_op = 'INSERT' then
        if pg_catalog.pg_column_size(new) > 1000000 then
            perform cutover.capture_large(tg_relid, 'insert', new, new);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, new_image)
        select c.oid, 'insert', c.relnatts, pg_catalog.concat(new)
        from pg_catalog.pg_class as c
        where c.oid = tg_relid;
    elsif tg_op = 'DELETE' then
        if pg_catalog.pg_column_size(old) > 1000000 then
            perform cutover.capture_large(tg_relid, 'delete', old, old);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, old_image)
        select c.oid, 'delete', c.relnatts, pg_catalog.concat(old)
        from pg_catalog.pg_class as c
        where c.oid = tg_relid;
    else
        insert into cutover.changelog (relid, operation) values (tg_relid, 'truncate');
    end if;
    return null;
end $$;
revoke all on function cutover.capture() from public;

-- Makes the function that records a table's rows, unless it is there as it is to be.
-- It runs as its owner, so that every writer of the table is recorded, whatever it may see itself; and under settings
-- of its own, because what a text means would else depend on the writer's. concat() takes the output function of the
-- row type and never a cast, which the application could have made: none of its code runs there. Nothing in it can fail
-- because of a value: what PostgreSQL holds, it can write down. It is a function for one table, so that its plans name
-- the table and keep the number of its last column until the table changes.
create or replace function cutover.make_capture(relation oid) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $make$
declare
    name constant text := format('cutover.capture_%s', relation);
    body constant text := replace($body$
begin
    if tg_op = 'UPDATE' then
        if pg_catalog.pg_column_size(old) + pg_catalog.pg_column_size(new) > 1000000 then
            perform cutover.capture_large(tg_relid, 'update', old, new);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, old_image, new_image)
        values (
            tg_relid, 'update', cutover.last_column('RELATION'::pg_catalog.regclass),
            pg_catalog.concat(old), pg_catalog.concat(new)
        );
    elsif tg_op = 'INSERT' then
        if pg_catalog.pg_column_size(new) > 1000000 then
            perform cutover.capture_large(tg_relid, 'insert', new, new);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, new_image)
        values (tg_relid, 'insert', cutover.last_column('RELATION'::pg_catalog.regclass), pg_catalog.concat(new));
    else
        if pg_catalog.pg_column_size(old) > 1000000 then
            perform cutover.capture_large(tg_relid, 'delete', old, old);
            return null;
        end if;
        insert into cutover.changelog (relid, operation, attributes, old_image)
        values (tg_relid, 'delete', cutover.last_column('RELATION'::pg_catalog.regclass), pg_catalog.concat(old));
    end if;
    return null;
end $body$, 'RELATION', relation::text);
begin
    if exists (
        select from pg_catalog.pg_proc as p where p.oid = to_regprocedure(name || '()') and p.prosrc = body
    ) then
        return;
    end if;
    execute format(
        'create or replace function %1$s() returns trigger language plpgsql security definer '
        'set search_path = pg_catalog, pg_temp set datestyle = ''ISO'' set intervalstyle = ''postgres'' '
        'set timezone = ''UTC'' set extra_float_digits = 3 set bytea_output = ''hex'' set lc_monetary = ''C'' as %2$L; '
        'revoke all on function %1$s() from public',
        name, body
    );
end $make$;
revoke all on function cutover.make_capture(oid) from public;

-- Drops the functions of tables that are gone. One that a trigger still runs stays: in a database that was restored
-- from a dump, tables have other numbers, and the next capture of such a table gives its trigger another function.
create or replace function cutover.drop_captures() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
    name text;
begin
    for name in
        select format('cutover.%I()', p.proname)
        from pg_catalog.pg_proc as p
        where p.pronamespace = 'cutover'::regnamespace and p.proname ~ '^capture_[0-9]+$'
            and not exists (
                select from pg_catalog.pg_class as c where c.oid = substr(p.proname, length('capture_') + 1)::oid
            )
            and not exists (select from pg_catalog.pg_trigger as t where t.tgfoid = p.oid)
    loop
        execute 'drop function if exists ' || name;
    end loop;
end $$;
revoke all on function cutover.drop_captures() from public;

-- A captured row for people and queries: the text of each column by its name, null where it cannot be told any more.
create or replace function cutover.captured_row(change cutover.changelog, which text) returns jsonb
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    image text := case which when 'old' then change.old_image else change.new_image end;
begin
    if image is null then
        return case which when 'old' then change.old_row else change.new_row end;
    end if;
    return cutover.readable(
        image, cutover.image_names(change.relid, change.attributes, cutover.image_width(image), null)
    );
end $$;
revoke all on function cutover.captured_row(cutover.changelog, text) from public;

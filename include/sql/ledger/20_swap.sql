-- Write capture: what the application writes to a swapped table while a run is under way, and after its swap.
create table if not exists cutover.changelog (
    change_id bigint generated always as identity primary key,
    xid xid8 not null default pg_current_xact_id(),
    -- the table's identity, not its name: the old and the new table of one name are told apart by it
    relid oid not null,
    operation text not null check (operation in ('insert', 'update', 'delete', 'truncate')),
    old_row jsonb,
    new_row jsonb,
    changed_at timestamptz not null default clock_timestamp()
);
create index if not exists changelog_relid on cutover.changelog (relid, change_id);

-- Runs as its owner, so that every writer of the table is recorded, whatever it may see itself.
create or replace function cutover.capture() returns trigger
language plpgsql security definer set search_path = '' as $$
begin
    if tg_op = 'INSERT' then
        insert into cutover.changelog (relid, operation, new_row) values (tg_relid, 'insert', pg_catalog.to_jsonb(new));
    elsif tg_op = 'UPDATE' then
        insert into cutover.changelog (relid, operation, old_row, new_row)
        values (tg_relid, 'update', pg_catalog.to_jsonb(old), pg_catalog.to_jsonb(new));
    elsif tg_op = 'DELETE' then
        insert into cutover.changelog (relid, operation, old_row) values (tg_relid, 'delete', pg_catalog.to_jsonb(old));
    else
        insert into cutover.changelog (relid, operation) values (tg_relid, 'truncate');
    end if;
    return null;
end $$;
revoke all on function cutover.capture() from public;

-- Foreign keys taken off backup tables after a swap, so that a table that comes back without finding itself in
-- production (it was new, was rolled back, and the rollback is rolled back) gets them again.
create table if not exists cutover.released_key (
    backup_schema text not null,
    table_name text not null,
    constraint_name text not null,
    definition text not null,
    primary key (backup_schema, table_name, constraint_name)
);

-- Issued after a swap or rollback, once everything that may wait has been done.
create table if not exists cutover.certificate (
    run text primary key references cutover.ledger (run),
    issued_at timestamptz not null default clock_timestamp(),
    -- objects outside the backup that still refer to a table in it: must be empty
    left_behind jsonb not null,
    -- foreign keys that are still NOT VALID although they were valid before
    not_validated jsonb not null,
    inventory_hash text not null,
    done jsonb not null
);

-- Applies captured writes of the outgoing tables to the incoming ones: those not seen by `since` and seen by
-- `until`. An insert carries the row, an update only the columns that it changed, a delete the key. What cannot be
-- applied goes whole to the quarantine with its SQLSTATE; a delete of a row that is not there has nothing to do.
create or replace function cutover.carry(
    this_run text, outgoing oid [], incoming oid [], since pg_snapshot, until pg_snapshot, except_xid xid8
) returns table (table_name text, operation text, carried bigint, already_gone bigint, quarantined bigint)
language plpgsql set search_path = '' set timezone = 'UTC' set datestyle = 'ISO' set intervalstyle = 'postgres' as $$
declare
    change record;
    target text;
    assignments text;
    condition text;
    state text;
    message text;
    affected bigint;
begin
    create temp table if not exists carry_table (
        outgoing oid primary key, target text, schema_name text, table_name text, columns text, key_condition text
    ) on commit drop;
    create temp table if not exists carry_count (
        table_name text, operation text, carried bigint, already_gone bigint, quarantined bigint,
        primary key (table_name, operation)
    ) on commit drop;
    truncate pg_temp.carry_table, pg_temp.carry_count;

    insert into pg_temp.carry_table
    select
        t.outgoing,
        format('%I.%I', n.nspname, c.relname),
        n.nspname,
        c.relname,
        (
            select string_agg(format('%I', a.attname), ', ' order by a.attnum)
            from pg_catalog.pg_attribute as a
            where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
        ),
        (
            select string_agg(format('t.%1$I = k.%1$I', a.attname), ' and ' order by a.attnum)
            from pg_catalog.pg_constraint as p
            join pg_catalog.pg_attribute as a on a.attrelid = p.conrelid and a.attnum = any(p.conkey)
            where p.conrelid = c.oid and p.contype = 'p'
        )
    from unnest(carry.outgoing, carry.incoming) as t (outgoing, incoming)
    join pg_catalog.pg_class as c on c.oid = t.incoming
    join pg_catalog.pg_namespace as n on n.oid = c.relnamespace;

    set constraints all deferred;
    for change in
        select
            l.*,
            c.target,
            c.schema_name,
            c.table_name,
            c.columns,
            c.key_condition
        from cutover.changelog as l
        join pg_temp.carry_table as c on c.outgoing = l.relid
        where not pg_catalog.pg_visible_in_snapshot(l.xid, since) and pg_catalog.pg_visible_in_snapshot(l.xid, until)
            and l.xid is distinct from except_xid and l.xid <> pg_catalog.pg_current_xact_id()
        order by l.change_id
    loop
        state := null;
        affected := 0;
        begin
            if change.operation = 'insert' then
                execute format(
                    'insert into %1$s (%2$s) overriding system value select %2$s from jsonb_populate_record(null::%1$s, $1)',
                    change.target, change.columns
                ) using change.new_row;
                affected := 1;
            elsif change.operation = 'delete' then
                execute format(
                    'delete from %1$s as t using jsonb_populate_record(null::%1$s, $1) as k where %2$s',
                    change.target, change.key_condition
                ) using change.old_row;
                get diagnostics affected = row_count;
            elsif change.operation = 'update' then
                select string_agg(format('%1$I = n.%1$I', c.key), ', ')
                into assignments
                from jsonb_each(change.new_row) as c
                where c.value is distinct from change.old_row -> c.key
                    and exists (
                        select from pg_catalog.pg_attribute as a
                        where a.attrelid = change.target::regclass and a.attname = c.key and a.attgenerated = ''
                    );
                if assignments is null then
                    affected := 1;
                else
                    execute format(
                        'update %1$s as t set %2$s from jsonb_populate_record(null::%1$s, $1) as n, '
                        'jsonb_populate_record(null::%1$s, $2) as k where %3$s',
                        change.target, assignments, change.key_condition
                    ) using change.new_row, change.old_row;
                    get diagnostics affected = row_count;
                    if affected = 0 then
                        state := '02000';
                        message := 'the row that it changed is not in the incoming table';
                    end if;
                end if;
            else
                state := '0A000';
                message := 'TRUNCATE cannot be carried: it names no rows';
            end if;
        exception
            when others then
                get stacked diagnostics state = returned_sqlstate, message = message_text;
        end;
        if state is not null then
            insert into cutover.quarantine (
                run, change_id, schema_name, table_name, operation, key, old_row, new_row, sqlstate, reason
            )
            values (
                this_run, change.change_id, change.schema_name, change.table_name, change.operation, null,
                change.old_row, change.new_row, state, message
            );
        end if;
        insert into pg_temp.carry_count as n
        values (
            change.table_name, change.operation, (state is null and affected > 0)::integer,
            (state is null and affected = 0)::integer, (state is not null)::integer
        )
        on conflict on constraint carry_count_pkey do update
        set carried = n.carried + excluded.carried, already_gone = n.already_gone + excluded.already_gone,
            quarantined = n.quarantined + excluded.quarantined;
    end loop;
    set constraints all immediate;
    return query select c.* from pg_temp.carry_count as c order by 1, 2;
end $$;
revoke all on function cutover.carry(text, oid [], oid [], pg_snapshot, pg_snapshot, xid8) from public;

-- How many captured writes of the given tables wait to be carried, by table and operation.
create or replace function cutover.pending(tables oid [], since pg_snapshot, except_xid xid8)
returns table (relid oid, operation text, changes bigint)
language sql stable set search_path = '' as $$
    select l.relid, l.operation, count(*)
    from cutover.changelog as l
    where l.relid = any(tables) and not pg_catalog.pg_visible_in_snapshot(l.xid, since)
        and l.xid is distinct from except_xid
    group by l.relid, l.operation
$$;
revoke all on function cutover.pending(oid [], pg_snapshot, xid8) from public;

-- The ledger is append-only and chained: an entry's hash covers all its columns and the hash of the entry before
-- it, so that one changed or removed later shows.
create or replace function cutover.ledger_hash(entry cutover.ledger) returns text
language sql stable set search_path = '' set timezone = 'UTC' set datestyle = 'ISO' as $$
    select encode(sha256(convert_to((to_jsonb(entry) - 'hash')::text, 'UTF8')), 'hex')
$$;

create or replace function cutover.chain_ledger() returns trigger
language plpgsql set search_path = '' as $$
begin
    if tg_op <> 'INSERT' then
        raise exception 'the ledger is append-only' using errcode = 'insufficient_privilege';
    end if;
    new.previous_hash := (select l.hash from cutover.ledger as l order by l.entry desc limit 1);
    new.hash := cutover.ledger_hash(new);
    return new;
end $$;

create or replace trigger chain_ledger before insert or update or delete on cutover.ledger
for each row execute function cutover.chain_ledger();

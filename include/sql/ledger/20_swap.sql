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
create index if not exists changelog_relid_xid on cutover.changelog (relid, xid);

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

-- The columns of a table that keys, unique indexes, exclusion constraints or generated columns are made of: when one of
-- them changes, it matters to other rows in which order.
create or replace function cutover.keyed_columns(relation oid) returns text[]
language sql stable set search_path = '' as $$
    select coalesce(array_agg(a.attname::text), '{}')
    from pg_catalog.pg_attribute as a
    where a.attrelid = relation and a.attnum > 0
        and (
            exists (
                select from pg_catalog.pg_constraint as k
                where k.conrelid = relation and k.contype in ('p', 'u', 'f', 'x') and a.attnum = any(k.conkey)
            )
            -- in an expression or predicate, too; the default of a column depends on other columns if it is generated
            or exists (
                select from pg_catalog.pg_depend as d
                left join pg_catalog.pg_index as i on d.classid = 'pg_catalog.pg_class'::regclass and i.indexrelid = d.objid
                left join pg_catalog.pg_attrdef as g on d.classid = 'pg_catalog.pg_attrdef'::regclass and g.oid = d.objid
                where d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = relation
                    and d.refobjsubid = a.attnum
                    and (i.indisunique or i.indisexclusion or g.adnum <> a.attnum)
            )
        )
$$;
revoke all on function cutover.keyed_columns(oid) from public;

-- Applies captured writes of one operation to a table, all of them or none, and says why if that is not possible.
-- `changed` are the columns that updates set; `affected` is 0 for a delete of a row that is not there.
create or replace function cutover.apply(
    target text, key_condition text, columns text[], changed text[], operation text, old_rows jsonb[], new_rows jsonb[],
    out affected bigint, out state text, out message text
) language plpgsql set search_path = '' as $$
declare
    listed text;
begin
    affected := 0;
    if operation = 'insert' then
        execute format(
            'insert into %1$s (%2$s) overriding system value select %3$s '
            'from unnest($1) as w (new_row), jsonb_populate_record(null::%1$s, w.new_row) as n',
            target,
            (select string_agg(format('%I', c), ', ') from unnest(columns) as u (c)),
            (select string_agg(format('n.%I', c), ', ') from unnest(columns) as u (c))
        ) using new_rows;
        get diagnostics affected = row_count;
    elsif operation = 'delete' then
        execute format(
            'delete from %1$s as t using unnest($1) as w (old_row), jsonb_populate_record(null::%1$s, w.old_row) as k '
            'where %2$s',
            target, key_condition
        ) using old_rows;
        get diagnostics affected = row_count;
    elsif operation = 'update' then
        select string_agg(format('%1$I = n.%1$I', c), ', ') into listed from unnest(changed) as u (c);
        if listed is null then
            affected := cardinality(new_rows);
            return;
        end if;
        execute format(
            'update %1$s as t set %2$s from unnest($1, $2) as w (new_row, old_row), '
            'jsonb_populate_record(null::%1$s, w.new_row) as n, jsonb_populate_record(null::%1$s, w.old_row) as k '
            'where %3$s',
            target, listed, key_condition
        ) using new_rows, old_rows;
        get diagnostics affected = row_count;
        if affected < cardinality(new_rows) then
            raise exception 'the row that it changed is not in the incoming table' using errcode = '02000';
        end if;
    else
        state := '0A000';
        message := 'TRUNCATE cannot be carried: it names no rows';
    end if;
exception
    when others then
        affected := 0;
        get stacked diagnostics state = returned_sqlstate, message = message_text;
end $$;
revoke all on function cutover.apply(text, text, text[], text[], text, jsonb[], jsonb[]) from public;

-- Applies captured writes of the outgoing tables to the incoming ones: those not seen by `since` and seen by
-- `until`. An insert carries the row, an update only the columns that it changed, a delete the key. What cannot be
-- applied goes whole to the quarantine with its SQLSTATE; a delete of a row that is not there has nothing to do.
--
-- Clients wait for the last of this, and write on during the rest: it must be quicker than they are. So
-- * updates of one row that touch no keyed column are one: the last wins. (A counter that went up a hundred thousand
--   times would else leave as many versions of its row, and every next update reads all of them.) And when nothing
--   else happened to that row, it does not matter when that is done: all such rows are one statement, before the rest;
-- * inserts into one table with nothing in between are one statement;
-- * everything else is done one by one, in the order in which it was written.
-- A statement that fails is done again write by write, so that the quarantine has only what cannot be applied.
create or replace function cutover.carry(
    this_run text, outgoing oid[], incoming oid[], since pg_snapshot, until pg_snapshot, except_xid xid8
) returns table (table_name text, operation text, carried bigint, already_gone bigint, quarantined bigint)
-- The statistics of the changelog are never of this moment; it is read by key, however many writes it holds.
language plpgsql set search_path = '' set enable_seqscan = off
set timezone = 'UTC' set datestyle = 'ISO' set intervalstyle = 'postgres' as $$
declare
    -- rows, and bytes (compressed), that one statement may write: their images are in memory
    rows_at_once constant integer := 1000;
    bytes_at_once constant integer := 16 * 1024 * 1024;
    step record;
    change record;
    done record;
    -- counts by "relid operation outcome". No temporary table: making one inside the lock costs clients milliseconds.
    tally jsonb := '{}';
    outcome text;
    together boolean;
begin
    set constraints all deferred;
    for step in
        with pair as materialized (
            select
                p.outgoing,
                format('%I.%I', n.nspname, c.relname) as target,
                n.nspname as schema_name,
                c.relname as table_name,
                cutover.keyed_columns(c.oid) as keyed,
                (
                    select array_agg(a.attname::text order by a.attnum)
                    from pg_catalog.pg_attribute as a
                    where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
                ) as columns,
                (
                    select array_agg(a.attname::text order by a.attnum)
                    from pg_catalog.pg_constraint as k
                    join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = any(k.conkey)
                    where k.conrelid = c.oid and k.contype = 'p'
                ) as key_columns
            from unnest(carry.outgoing, carry.incoming) as p (outgoing, incoming)
            join pg_catalog.pg_class as c on c.oid = p.incoming
            join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        ),

        captured as (
            select
                l.change_id,
                l.relid,
                l.operation,
                pg_column_size(l.new_row) as bytes,
                p.keyed,
                p.key_columns,
                (
                    select jsonb_agg(coalesce(l.old_row, l.new_row) -> k.name order by k.name)
                    from unnest(p.key_columns) as k (name)
                ) as key,
                (
                    select array_agg(c.key)
                    from jsonb_each(l.new_row) as c
                    where l.operation = 'update' and c.value is distinct from l.old_row -> c.key
                ) as changed
            from cutover.changelog as l
            join pair as p on p.outgoing = l.relid
            where l.relid = any(carry.outgoing) and l.xid >= pg_catalog.pg_snapshot_xmin(since)
                and not pg_catalog.pg_visible_in_snapshot(l.xid, since)
                and pg_catalog.pg_visible_in_snapshot(l.xid, until)
                and l.xid is distinct from except_xid and l.xid <> pg_catalog.pg_current_xact_id()
        ),

        -- a change that stays by itself begins the next stretch of its row
        stretched as (
            select
                c.*,
                count(*) filter (where c.alone) over (partition by c.relid, c.key order by c.change_id) as stretch,
                count(*) filter (where c.alone) over (partition by c.relid, c.key) = 0
                -- a row that moved to another key is found there only after that
                and not bool_or(c.moved) over (partition by c.relid) as anytime
            from (
                select
                    c.*,
                    c.operation <> 'update' or c.key is null or coalesce(c.changed && c.keyed, false) as alone,
                    coalesce(c.changed && c.key_columns, false) as moved
                from captured as c
            ) as c
        ),

        folded as (
            select
                s.relid,
                s.operation,
                s.anytime,
                array_agg(distinct s.change_id order by s.change_id) as change_ids,
                max(s.change_id) as last_id,
                max(s.bytes) as bytes,
                array_agg(distinct u.name order by u.name) filter (where u.name is not null) as changed
            from stretched as s
            left join lateral unnest(s.changed) as u (name) on true
            group by s.relid, s.operation, s.key, s.stretch, s.alone, s.anytime
        ),

        ordered as (
            select
                f.*,
                case
                    when f.anytime then format('%s %s', f.relid, f.changed)
                    when f.operation = 'insert' then format('%s insert', f.relid)
                    else f.last_id::text
                end as kind,
                row_number() over (
                    order by f.anytime desc, case when f.anytime then format('%s %s', f.relid, f.changed) end, f.last_id
                ) as place
            from folded as f
        ),

        -- neighbours of one kind are one statement: within it, the place and the number among its kind go up together
        numbered as (
            select
                o.*,
                o.place - row_number() over (partition by o.kind order by o.place) as neighbourhood,
                (sum(o.bytes) over (order by o.place) / bytes_at_once)::bigint as heap
            from ordered as o
        ),

        statement as (
            select
                n.relid,
                n.operation,
                n.changed,
                array_agg(i.change_id order by i.change_id) as change_ids,
                -- of each row the last: it has every column that any of them set, and the key is that of all
                array_agg(i.change_id order by i.change_id) filter (where i.change_id = n.last_id) as last_ids,
                min(n.place) as place
            from numbered as n
            cross join unnest(n.change_ids) as i (change_id)
            group by n.relid, n.operation, n.changed, n.kind, n.neighbourhood, n.heap, n.place / rows_at_once
        )

        select
            s.relid,
            s.operation,
            s.change_ids,
            s.last_ids,
            p.target,
            p.schema_name,
            p.table_name,
            p.columns,
            (select array_agg(u.name) from unnest(s.changed) as u (name) where u.name = any(p.columns)) as assigned,
            (select string_agg(format('t.%1$I = k.%1$I', k.name), ' and ') from unnest(p.key_columns) as k (name))
            as key_condition
        from statement as s
        join pair as p on p.outgoing = s.relid
        order by s.place
    loop
        together := cardinality(step.change_ids) > 1;
        if together then
            select
                array_agg(case when step.operation = 'update' then l.new_row else l.old_row end) as old_rows,
                array_agg(l.new_row) as new_rows
            into change
            from cutover.changelog as l
            where l.change_id = any(step.last_ids);
            done := cutover.apply(
                step.target, step.key_condition, step.columns, step.assigned, step.operation,
                change.old_rows, change.new_rows
            );
            if done.state is null then
                outcome := concat_ws(' ', step.relid, step.operation, 'carried');
                tally := tally
                    || jsonb_build_object(outcome, coalesce((tally ->> outcome)::bigint, 0) + cardinality(step.change_ids));
                continue;
            end if;
        end if;
        for change in
            select l.* from cutover.changelog as l where l.change_id = any(step.change_ids) order by l.change_id
        loop
            done := cutover.apply(
                step.target, step.key_condition, step.columns,
                case when together and change.operation = 'update' then array(
                    select c.key
                    from jsonb_each(change.new_row) as c
                    where c.value is distinct from change.old_row -> c.key and c.key = any(step.columns)
                ) else step.assigned end,
                change.operation, array[change.old_row], array[change.new_row]
            );
            if done.state is not null then
                insert into cutover.quarantine (
                    run, change_id, schema_name, table_name, operation, key, old_row, new_row, sqlstate, reason
                )
                values (
                    this_run, change.change_id, step.schema_name, step.table_name, change.operation, null,
                    change.old_row, change.new_row, done.state, done.message
                );
            end if;
            outcome := concat_ws(
                ' ', change.relid, change.operation,
                case
                    when done.state is not null then 'quarantined'
                    when done.affected > 0 then 'carried'
                    else 'already_gone'
                end
            );
            tally := tally || jsonb_build_object(outcome, coalesce((tally ->> outcome)::bigint, 0) + 1);
        end loop;
    end loop;
    set constraints all immediate;
    return query
    select
        c.relname::text,
        o.name,
        coalesce((tally ->> concat_ws(' ', p.outgoing, o.name, 'carried'))::bigint, 0),
        coalesce((tally ->> concat_ws(' ', p.outgoing, o.name, 'already_gone'))::bigint, 0),
        coalesce((tally ->> concat_ws(' ', p.outgoing, o.name, 'quarantined'))::bigint, 0)
    from unnest(carry.outgoing) as p (outgoing)
    join pg_catalog.pg_class as c on c.oid = p.outgoing
    cross join unnest(array['insert', 'update', 'delete', 'truncate']) as o (name)
    where exists (select from jsonb_object_keys(tally) as t (key) where t.key like concat_ws(' ', p.outgoing, o.name, '%'))
    order by 1, 2;
end $$;
revoke all on function cutover.carry(text, oid[], oid[], pg_snapshot, pg_snapshot, xid8) from public;

-- How many captured writes of the given tables wait to be carried, by table and operation.
create or replace function cutover.pending(tables oid[], since pg_snapshot, except_xid xid8)
returns table (relid oid, operation text, changes bigint)
language sql stable set search_path = '' as $$
    select l.relid, l.operation, count(*)
    from cutover.changelog as l
    where l.relid = any(tables) and l.xid >= pg_catalog.pg_snapshot_xmin(since)
        and not pg_catalog.pg_visible_in_snapshot(l.xid, since)
        and l.xid is distinct from except_xid
    group by l.relid, l.operation
$$;
revoke all on function cutover.pending(oid[], pg_snapshot, xid8) from public;

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

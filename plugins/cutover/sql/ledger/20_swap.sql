-- Write capture: what the application writes to a swapped table while a run is under way, and after its swap.
-- An image is the row as PostgreSQL itself writes it down (the output function of its row type, as pg_dump relies on):
-- the columns that it had when it was written, in their order, without their names.
create table if not exists cutover.changelog (
    change_id bigint generated always as identity primary key,
    xid xid8 not null default pg_current_xact_id(),
    -- the table's identity, not its name: the old and the new table of one name are told apart by it
    relid oid not null,
    -- insert, update, delete or truncate
    operation text not null,
    -- what an earlier version of the engine recorded; carried like the others
    old_row jsonb,
    new_row jsonb,
    changed_at timestamptz not null default clock_timestamp(),
    -- how many columns the table had ever had by then: with the number of those in the image, it says which they are
    attributes smallint,
    old_image text,
    new_image text
);
create index if not exists changelog_relid_xid on cutover.changelog (relid, xid);

-- Foreign keys to live tables of tables that find no predecessor in production, which they get in the move: those of a
-- new table, as its DDL declares them, and those taken off a backup table after a swap, so that it has them again when
-- it comes back (it was new, was rolled back, and the rollback is rolled back).
create table if not exists cutover.released_key (
    backup_schema text not null,
    table_name text not null,
    constraint_name text not null,
    definition text not null,
    primary key (backup_schema, table_name, constraint_name)
);
alter table cutover.released_key add column if not exists referenced_name text;

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

-- The ledger is append-only and chained: an entry's hash covers the columns that the ledger had from the beginning, and
-- the hash of the entry before it. Columns that came later are covered by the signed chain (50_chain.sql), which covers
-- an entry as it was written.
create or replace function cutover.ledger_hash(entry cutover.ledger) returns text
language sql stable set search_path = '' set timezone = 'UTC' set datestyle = 'ISO' as $$
    select encode(sha256(convert_to((
        select jsonb_object_agg(c.key, c.value)
        from jsonb_each(to_jsonb(entry)) as c
        where c.key = any(array[
                'entry', 'run', 'migration', 'action', 'undoes', 'backup_schema', 'fingerprint', 'approval_id',
                'approved_by', 'snapshot', 'xid', 'started_at', 'locked_at', 'recorded_at', 'attempts', 'tables',
                'carried', 'report', 'previous_hash'
            ])
    )::text, 'UTF8')), 'hex')
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

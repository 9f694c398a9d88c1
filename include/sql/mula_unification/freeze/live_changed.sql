-- Rows that the unified application has written since its first launch, with whether the row is gone by now: from the
-- capture log, over the tables of every launch and rollback since then. What a person has changed or deleted there is
-- not brought back from the sources. Empty when there is no unified database (any more).
delete from cutover.unified_change
where to_regclass('public.users') is null;

insert into cutover.unified_change as known (table_name, id, change_id, is_deleted)
with
moved as (
    select
        entry.entry,
        moved.name,
        moved.outgoing,
        moved.incoming
    from cutover.ledger as entry
    cross join lateral jsonb_to_recordset(entry.tables) as moved (name text, outgoing oid, incoming oid)
    where entry.migration = 'mula_unification'
),

-- a first launch may have been rolled back and made again: what was written to the tables of the former is past
relation as (
    select distinct
        moved.name,
        identity.relid
    from moved
    cross join lateral unnest(array[moved.outgoing, moved.incoming]) as identity (relid)
    where
        identity.relid is not null
        and moved.entry >= (select max(launch.entry) from moved as launch where launch.outgoing is null)
),

written as (
    select
        relation.name,
        (coalesce(cutover.captured_row(change, 'new'), cutover.captured_row(change, 'old')) ->> 'id')::uuid as id,
        change.change_id,
        change.operation
    from cutover.changelog as change
    inner join relation on change.relid = relation.relid
    where
        change.operation <> 'truncate'
        and to_regclass('public.users') is not null
)

select
    name as table_name,
    id,
    max(change_id) as change_id,
    (array_agg(operation order by change_id desc))[1] = 'delete' as is_deleted
from written
group by name, id
on conflict (table_name, id) do update
    set
        change_id = excluded.change_id,
        is_deleted = excluded.is_deleted
    where excluded.change_id > known.change_id;

create table input.live_changed as
select
    table_name,
    id,
    is_deleted
from cutover.unified_change;

analyze input.live_changed;

-- Rows that the unified application has written since a launch put them in place, with whether the row is gone by
-- now: from the capture log, over the tables of every launch and rollback so far. What a person has changed or
-- deleted there is not brought back from the sources. Empty when there is no unified database (any more).
create table input.live_changed as
with
relation as (
    select distinct
        moved.name,
        identity.relid
    from cutover.ledger as entry
    cross join lateral jsonb_to_recordset(entry.tables) as moved (name text, outgoing oid, incoming oid)
    cross join lateral unnest(array[moved.outgoing, moved.incoming]) as identity (relid)
    where
        entry.migration = 'mula_unification'
        and identity.relid is not null
),

written as (
    select
        relation.name,
        (coalesce(change.new_row, change.old_row) ->> 'id')::uuid as id,
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
    (array_agg(operation order by change_id desc))[1] = 'delete' as is_deleted
from written
group by name, id;

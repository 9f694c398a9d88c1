-- Tables of the unified application that were emptied by TRUNCATE: it names no rows, so those of the sources come back
select
    moved.value ->> 'name' as table_name,
    count(*) as times
from cutover.ledger as entry
cross join lateral jsonb_array_elements(entry.tables) as moved
inner join cutover.changelog as change on change.relid = (moved.value ->> 'incoming')::oid
where
    entry.migration = 'mula_unification'
    and change.operation = 'truncate'
    and change.xid <> entry.xid
group by moved.value ->> 'name'
order by moved.value ->> 'name'

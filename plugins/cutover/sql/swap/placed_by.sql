-- The newest entry that put all of these tables where they are.
select l.run
from cutover.ledger as l
inner join lateral (
    select array_agg((t.value ->> 'incoming')::oid) as tables
    from jsonb_array_elements(l.tables) as t
    where t.value -> 'incoming' <> 'null'
) as placed on placed.tables @> %(tables)s::oid[]
order by l.entry desc
limit 1

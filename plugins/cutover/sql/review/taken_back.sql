-- Writes to tables that the newest entry, a rollback, has taken away, since the launch that had made them: they are in
-- its backup alone.
select
    t.value ->> 'schema' || '.' || (t.value ->> 'name') as table_name,
    p.operation,
    p.changes as writes,
    l.run as taken_back_by,
    l.backup_schema
from cutover.ledger as l
inner join cutover.ledger as u on l.undoes = u.run
cross join lateral jsonb_array_elements(l.tables) as t
cross join lateral cutover.pending(array[(t.value ->> 'outgoing')::oid], u.snapshot, u.xid) as p
where l.entry = (select max(n.entry) from cutover.ledger as n where n.migration = %(migration)s)
    and l.action = 'rollback'
    and t.value -> 'outgoing' <> 'null'
    and t.value -> 'incoming' = 'null'
order by table_name, p.operation

-- Writes captured on the tables that an entry put in place, since that entry: what a rollback carries back.
select
    p.relid::regclass::text as table_name,
    p.operation,
    p.changes
from cutover.ledger as l
cross join
    lateral cutover.pending(
        array(
            select (t ->> 'incoming')::oid
            from jsonb_array_elements(l.tables) as t
            where t ->> 'incoming' is not null
        ),
        l.snapshot,
        l.xid
    ) as p
where l.run = %(run)s
order by 1, 2

-- Writes of the application to the tables of a set since the approval of a run's swap, table by table: by the clock of
-- this database, which both were recorded by.
select
    l.relid::regclass::text as table_name,
    count(*) as writes
from cutover.changelog as l
where
    l.relid = any(%(tables)s::oid[])
    and l.xid >= pg_catalog.pg_snapshot_xmin(%(since)s::pg_snapshot)
    and not pg_catalog.pg_visible_in_snapshot(l.xid, %(since)s::pg_snapshot)
    and l.changed_at > (
        select max(a.recorded_at)
        from cutover.approvals as a
        where a.run = %(run)s and a.action = 'swap' and a.decision = 'approve'
    )
group by l.relid
order by 1

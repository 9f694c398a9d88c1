-- Writes of the application since the freeze of the run that has the schemas, which its swap is to carry: how many, and
-- how long the oldest has waited. None where no run has frozen anything that it has not swapped.
select
    count(l.change_id) as writes,
    coalesce(extract(epoch from clock_timestamp() - min(l.changed_at)), 0)::double precision as age_s
from cutover.workspace as w
inner join cutover.run as r on w.run = r.run
inner join cutover.changelog as l
    on
        l.relid = any(array(select to_regclass(t.name)::oid from unnest(%(tables)s::text[]) as t (name)))
        and l.xid >= pg_catalog.pg_snapshot_xmin(r.snapshot)
        and not pg_catalog.pg_visible_in_snapshot(l.xid, r.snapshot)
where
    r.migration = %(migration)s
    and not exists (select from cutover.ledger as done where done.run = r.run)

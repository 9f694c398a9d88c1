-- The transactions that have written to one of these tables, or changed it, and have not ended: as PostgreSQL names
-- them to everybody, which it does with no time and no query of other roles' sessions.
select distinct l.virtualtransaction
from pg_catalog.pg_locks as l
where
    l.locktype = 'relation'
    and l.granted
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
    and l.relation in (select to_regclass(t.name)::oid from unnest(%(tables)s::text[]) as t (name))
    and l.mode in ('RowExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
    and l.pid <> pg_backend_pid()

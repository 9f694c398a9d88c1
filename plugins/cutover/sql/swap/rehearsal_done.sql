-- What a rehearsal has come to, while it still holds its locks: its entry, and the sessions that wait for them.
select
    l.locked_at,
    l.recorded_at,
    l.carried,
    w.clients,
    w.first_waits_at
from cutover.ledger as l
cross join (
    select
        count(distinct k.pid) as clients,
        min(k.waitstart) as first_waits_at
    from pg_catalog.pg_locks as k
    where not k.granted and k.locktype = 'relation' and k.relation = any(%(relations)s::oid[])
        and k.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
) as w
where l.run = %(run)s

-- What carrying needs to know of each table and the one that takes its place, by the table's oid.
select
    coalesce(
        jsonb_object_agg(p.outgoing, cutover.pair(p.outgoing, p.incoming, s.since, %(except_xid)s::xid8)), '{{}}'
    )
from unnest(%(outgoing)s::oid[], %(incoming)s::oid[]) as p (outgoing, incoming)
cross join (select %(since)s::pg_snapshot as since) as s

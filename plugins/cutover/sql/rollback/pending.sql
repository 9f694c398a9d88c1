select
    p.relid,
    p.operation,
    p.changes
from cutover.pending(%(tables)s::oid[], %(since)s::pg_snapshot, %(except_xid)s::xid8) as p

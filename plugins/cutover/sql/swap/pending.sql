select coalesce(sum(changes), 0)
from cutover.pending(%(tables)s::oid[], %(since)s::pg_snapshot, %(except_xid)s::xid8)

select *
from
    cutover.carry(
        %(run)s,
        %(outgoing)s::oid[],
        %(incoming)s::oid[],
        %(since)s::pg_snapshot,
        %(until)s::pg_snapshot,
        %(except_xid)s::xid8,
        %(careful)s,
        %(known)s
    )

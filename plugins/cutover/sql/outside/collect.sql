select *
from
    cutover.collect_outside(
        %(run)s,
        %(keys)s::oid[],
        %(incoming_schema)s,
        %(tables)s::oid[],
        %(policy)s,
        %(aside)s,
        %(whole)s
    )

select
    key_name,
    operation,
    rows
from cutover.set_outside_aside(%(run)s, %(keys)s::oid[], %(incoming_schema)s)

-- Production writes captured since the freeze, by table and operation.
select
    p.relid::regclass::text as table_name,
    p.operation,
    p.changes
from cutover.pending(%(tables)s::oid[], %(since)s::pg_snapshot, null) as p
order by 1, 2

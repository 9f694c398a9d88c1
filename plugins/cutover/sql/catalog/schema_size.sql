select coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint
from pg_catalog.pg_class as c
where c.relnamespace = to_regnamespace(%(schema)s) and c.relkind in ('r', 'm')

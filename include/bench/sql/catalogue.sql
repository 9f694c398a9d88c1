-- The size of pg_catalog with its indexes, and the rows in it that wait for a vacuum.
select
    sum(pg_total_relation_size(s.relid)) as bytes,
    sum(s.n_dead_tup) as dead_rows
from pg_catalog.pg_stat_sys_tables as s
where s.schemaname = 'pg_catalog'

select
    p.phase,
    p.blocks_done,
    p.blocks_total,
    p.tuples_done,
    p.tuples_total,
    current_setting('block_size')::bigint as block_bytes
from pg_catalog.pg_stat_progress_create_index as p
where p.pid = %(pid)s

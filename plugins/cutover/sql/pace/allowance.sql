-- What the server gives one index build by itself, and what it would give at most; kB.
select
    (pg_size_bytes(current_setting('maintenance_work_mem')) / 1024) as memory,
    (pg_size_bytes(current_setting('shared_buffers')) / 1024) as buffers,
    (
        select s.max_val::bigint from pg_catalog.pg_settings as s
        where s.name = 'maintenance_work_mem'
    ) as most_memory,
    current_setting('max_parallel_maintenance_workers')::integer as workers,
    least(
        current_setting('max_parallel_workers')::integer, current_setting('max_worker_processes')::integer
    ) as most_workers

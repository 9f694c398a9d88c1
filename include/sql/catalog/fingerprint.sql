select
    count(*) as row_count,
    coalesce(sum(hash_record_extended(t, 0)), 0) as hash_sum
from {table} as t

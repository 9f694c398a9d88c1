select
    count(*) as row_count,
    coalesce(sum(hashtextextended(t::text, 0)), 0) as hash_sum
from {table} as t

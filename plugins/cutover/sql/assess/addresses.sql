-- Of a column that holds addresses: rows, rows whose address is not usable, different addresses in any spelling, and
-- how many of them have several rows.
with
spelled as (
    select lower(btrim(normalize({column}::text, nfc))) as address
    from {source}
),

grouped as (
    select
        address,
        count(*) as row_count
    from spelled
    where address ~ '^[^@[:space:]]+@[^@[:space:]]+[.][^@[:space:]]+$'
    group by address
)

select
    (select count(*) from spelled) as row_count,
    (select count(*) from spelled) - coalesce(sum(row_count), 0)::bigint as unusable,
    count(*) as addresses,
    count(*) filter (where row_count > 1) as repeated
from grouped

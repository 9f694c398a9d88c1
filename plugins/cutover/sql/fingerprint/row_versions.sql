-- How many row versions a table has, and which of their transactions are not known to have ended before `horizon`, the
-- oldest transaction that was running at an earlier moment: by number, and how many rows they wrote.
--
-- A row shows 32 bits of its transaction's number. The newest number with these bits that has been given out is never
-- older than the one that is meant, so what began after the horizon never passes for older. What this transaction
-- writes itself, and a row so old that its bits have come round, is nobody's.
with version as (
    select
        r.xmin::text::bigint as bits,
        count(*) as row_count
    from {table} as r
    group by r.xmin
),

numbered as (
    select
        v.row_count,
        v.bits,
        n.next,
        mod(n.next - 1 - v.bits + 2 * 4294967296, 4294967296) as age
    from version as v
    cross join (select pg_snapshot_xmax(pg_current_snapshot())::text::bigint as next) as n
),

told as (
    select
        d.row_count,
        d.next - 1 - d.age as id,
        d.bits >= 3 and d.age < 2147483648 and d.age < d.next - 3 as is_known
    from numbered as d
)

select
    coalesce(sum(t.row_count), 0)::bigint as row_count,
    coalesce(sum(t.row_count) filter (where not t.is_known), 0)::bigint as unknown,
    coalesce(
        array_agg(t.id order by t.id) filter (where t.is_known and t.id >= %(horizon)s::text::bigint), '{{}}'
    ) as later
from told as t

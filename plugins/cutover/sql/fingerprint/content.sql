-- The content of a table: its number of rows, and the root of a tree over the digests of its rows.
--
-- A row's digest is that of its text; {columns} are its columns, each by the alias, so that no column's name can be
-- taken for another's. Rows are a set: those whose digests begin with the same two bytes are one leaf, sorted by
-- digest, so no collation has a say, memory does not grow, and two copies can be compared leaf by leaf.
with digested as (
    select sha256(convert_to(row({columns})::text, {encoding})) as digest
    from {table} as r
    -- computed once for each row, by as many workers as there are
    offset 0
),

leaf as (
    select
        substr(d.digest, 1, 2) as prefix,
        count(*) as row_count,
        sha256(string_agg(d.digest, ''::bytea order by d.digest)) as digest
    from digested as d
    group by substr(d.digest, 1, 2)
)

select
    coalesce(sum(l.row_count), 0)::bigint as row_count,
    encode(sha256(coalesce(string_agg(l.prefix || l.digest, ''::bytea order by l.prefix), ''::bytea)), 'hex') as digest
from leaf as l

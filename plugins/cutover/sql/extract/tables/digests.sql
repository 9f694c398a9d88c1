-- For each block of keys the rows in it, and a digest of all that they are compared by. The digests of single rows are
-- sorted as numbers, so that no collation has a say, and not added up, where two changes could cancel each other out.
select
    r.block,
    count(*) as row_count,
    sha256(string_agg(int8send(r.told), ''::bytea order by r.told)) as digest
from (
    select
        {block} as block,
        {told} as told
    from {table}
    where {is_there}
    -- computed once for each row
    offset 0
) as r
group by r.block

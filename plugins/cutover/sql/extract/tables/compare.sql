-- Of the blocks that differ: how many rows of the source raw lacks or has otherwise, and how many of raw's the source
-- has no more.
select
    count(*) filter (
        where listed.{key} is not null
        and (stored.{key} is null or stored.gone_at is not null or {stamp} is distinct from listed.stamp)
    ) as different,
    count(*) filter (where listed.{key} is null and stored.gone_at is null) as missing
from (
    select stored.*
    from {raw} as stored
    where {differs}
) as stored
full join pg_temp.listed as listed on stored.{key} = listed.{key}

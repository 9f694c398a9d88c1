-- How many rows of the source raw lacks or has otherwise, how many of raw's the source has no more, and raw's rows.
select
    count(*) filter (
        where listed.{key} is not null
        and (stored.{key} is null or stored.gone_at is not null or {stamp} is distinct from listed.stamp)
    ) as different,
    count(*) filter (where listed.{key} is null and stored.gone_at is null) as missing,
    count(*) filter (where stored.{key} is not null and stored.gone_at is null) as present
from {raw} as stored
full join pg_temp.listed as listed on stored.{key} = listed.{key}

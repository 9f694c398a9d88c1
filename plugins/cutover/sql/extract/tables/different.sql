-- The keys of the rows that raw lacks or has otherwise.
select listed.{key}
from pg_temp.listed as listed
left join {raw} as stored on listed.{key} = stored.{key}
where
    stored.{key} is null
    or stored.gone_at is not null
    or {stamp} is distinct from listed.stamp

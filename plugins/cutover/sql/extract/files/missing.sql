-- Rows that a whole list has no more, and how many were there to be had; one that was rejected is not gone.
select
    count(*) filter (
        where not exists (select from pg_temp.fetched as f where f.{key} = stored.{key})
        and not exists (
            select
            from cutover.rejects as r
            where r.file_id = %(file_id)s and r.source_id = stored.{key}::text
        )
    ) as missing,
    count(*) as present
from {raw} as stored
where stored.gone_at is null

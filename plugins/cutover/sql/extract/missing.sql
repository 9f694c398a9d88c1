-- Rows that a complete scan no longer found, and how many were there to be found.
select
    count(*) filter (where seen.id is null) as missing,
    count(*) as present
from {raw} as stored
left join (
    select distinct unnest(ids) as id
    from cutover.sync_page
    where sync_id = %(sync_id)s
) as seen on stored.id::text = seen.id
where stored.gone_at is null

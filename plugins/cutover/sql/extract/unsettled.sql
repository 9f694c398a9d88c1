-- Windows whose last reading brought rows that raw had not, or, where everything was read, did not show rows that it
-- has: those are missed once more before they are taken for gone.
select
    w.window_no,
    w.name,
    w.position,
    case when brought.rows > 0 then 'it brought rows that were not known' else 'it did not show rows that are known' end
        as why
from cutover.sync_window as w
cross join
    lateral (
        select coalesce(sum(p.new + p.returned), 0) as rows
        from cutover.sync_page as p
        where
            p.sync_id = w.sync_id
            and p.window_no = w.window_no
            and p.attempt = coalesce((w.position ->> 'attempt')::integer, 1)
    ) as brought
where
    w.sync_id = %(sync_id)s
    and w.state = 'complete'
    and (
        brought.rows > 0
        or (
            %(full)s
            and coalesce((w.position ->> 'readings')::integer, 0) = 0
            and exists (
                select 1
                from {raw} as stored
                left join (
                    select distinct unnest(shown.ids) as id
                    from cutover.sync_page as shown
                    where shown.sync_id = w.sync_id
                ) as seen on stored.id::text = seen.id
                where
                    stored.gone_at is null
                    and seen.id is null
            )
        )
    )
order by w.window_no

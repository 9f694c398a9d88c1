-- The windows of a sync, with what the guards need to know of the pages stored: the ids of the first and of
-- the last page of the current attempt, and the last id of each.
select
    w.window_no,
    w.name,
    w.params,
    w.position,
    w.state,
    w.pages,
    coalesce(p.first_ids, '{}') as first_ids,
    coalesce(p.last_ids, '{}') as last_ids,
    coalesce(p.cursors, '{}') as cursors
from cutover.sync_window as w
left join lateral (
    select
        array_agg(page.last_id order by page.page_no) as cursors,
        (
            select first.ids
            from cutover.sync_page as first
            where
                first.sync_id = w.sync_id
                and first.page_no = min(page.page_no)
        ) as first_ids,
        (
            select last.ids
            from cutover.sync_page as last
            where
                last.sync_id = w.sync_id
                and last.page_no = max(page.page_no)
        ) as last_ids
    from cutover.sync_page as page
    where
        page.sync_id = w.sync_id
        and page.window_no = w.window_no
        and page.attempt = coalesce((w.position ->> 'attempt')::integer, 1)
        and page.rows > 0
) as p on true
where
    w.sync_id = %(sync_id)s
order by w.window_no

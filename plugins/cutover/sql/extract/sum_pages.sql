-- What the pages of a sync add up to, whichever tries of the task brought them.
update cutover.sync set
    pages = total.pages,
    rows = total.rows,
    repeated = total.identified - total.distinct_rows,
    new = total.new,
    changed = total.changed,
    returned = total.returned,
    unchanged = total.rows - total.new - total.changed - total.returned - total.rejected,
    rejected = total.rejected,
    adjusted = total.adjusted,
    received_bytes = total.received_bytes,
    first_id = total.first_id,
    last_id = total.last_id,
    requests = requests + %(requests)s,
    retries = retries + %(retries)s,
    waited = %(waited)s,
    not_given = not_given || %(not_given)s,
    clock_ahead = coalesce(clock_ahead, %(clock_ahead)s)
from (
    select
        count(*) filter (where rows > 0) as pages,
        coalesce(sum(rows), 0) as rows,
        coalesce(sum(cardinality(ids)), 0) as identified,
        (
            select count(distinct shown.id)
            from cutover.sync_page as page, unnest(page.ids) as shown (id)
            where page.sync_id = %(sync_id)s
        ) as distinct_rows,
        coalesce(sum(new), 0) as new,
        coalesce(sum(changed), 0) as changed,
        coalesce(sum(returned), 0) as returned,
        coalesce(sum(rejected), 0) as rejected,
        coalesce(sum(adjusted), 0) as adjusted,
        coalesce(sum(received_bytes), 0) as received_bytes,
        (array_agg(first_id order by window_no, page_no) filter (where rows > 0))[1] as first_id,
        (array_agg(last_id order by window_no desc, page_no desc) filter (where rows > 0))[1] as last_id
    from cutover.sync_page
    where sync_id = %(sync_id)s
) as total
where
    sync.sync_id = %(sync_id)s
    and sync.state = 'running'
returning waited

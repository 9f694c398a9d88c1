-- What is still news, oldest first.
select
    n.event_id,
    n.migration,
    n.kind,
    n.about,
    n.run,
    n.dag_id,
    n.dag_run_id,
    n.task_id,
    n.subject,
    n.lines,
    n.dag_file,
    array(
        select d.way
        from cutover.delivery as d
        where
            d.event_id = n.event_id
            and (d.delivered_at is not null or d.tries >= %(tries)s or not %(again)s)
    ) as settled
from cutover.news as n
where n.migration = %(migration)s
order by n.event_id

-- Questions that wait: not for much longer (from half of it on, if that is a short time at all), or asked a while ago
-- by a task that could not note down that people are to be told.
select
    w.run,
    w.dag_id,
    w.dag_run_id,
    w.task_id,
    w.action,
    w.number,
    w.record_id,
    w.ends_at,
    w.now,
    w.is_late,
    w.dag_file
from (
    select
        q.run,
        q.dag_id,
        q.dag_run_id,
        q.task_id,
        q.action,
        q.number,
        q.record_id,
        q.asked_at,
        q.ends_at,
        clock_timestamp() as now,
        clock_timestamp() >= q.ends_at - least(
            %(minutes)s * interval '1 minute', (q.ends_at - q.asked_at) / 2
        ) as is_late,
        q.dag_file,
        e.event_id
    from cutover.question as q
    left join cutover.event as e
        on e.migration = q.migration and e.kind = 'asked' and e.about = q.run || ' ' || q.number
    where q.migration = %(migration)s and q.withdrawn_at is null and not q.is_answered and clock_timestamp() < q.ends_at
) as w
where w.is_late or (w.event_id is null and w.asked_at < w.now - %(seconds)s * interval '1 second')

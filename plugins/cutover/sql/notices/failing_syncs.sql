-- Sources whose scheduled sync fails: since when, how often, and with which code the last time.
select
    f.dag_id,
    f.task_id,
    min(f.failed_at) as since,
    count(*) as failures,
    (array_agg(f.code order by f.failure_id desc))[1] as code,
    (array_agg(f.remedy order by f.failure_id desc))[1] as remedy,
    min(f.failed_at) <= clock_timestamp() - %(patience)s * interval '1 hour' as is_long
from cutover.failure as f
where
    f.migration = %(migration)s
    and f.is_scheduled
    and f.task_id like 'extract.%%'
    and f.failed_at > coalesce(
        (
            select max(s.finished_at)
            from cutover.sync as s
            where s.source = substr(f.task_id, length('extract.') + 1) and s.state = 'complete'
        ),
        '-infinity'
    )
group by f.dag_id, f.task_id
order by f.task_id

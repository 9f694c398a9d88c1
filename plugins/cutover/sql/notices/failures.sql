-- Tasks of runs that somebody has triggered, failed in the last hours. What an answer says is told as an answer.
select
    f.run,
    f.dag_id,
    f.dag_run_id,
    f.task_id,
    f.code,
    f.remedy,
    f.failed_at
from cutover.failure as f
where
    f.migration = %(migration)s
    and not f.is_scheduled
    and f.code is distinct from 'approve.rejected'
    and f.code is distinct from 'approve.changes-requested'
    and f.code is distinct from 'approve.expired'
    and f.failed_at > clock_timestamp() - %(hours)s * interval '1 hour'
order by f.failure_id

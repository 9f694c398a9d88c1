-- Runs of the last hours that have not said how they ended: whether they are over, Airflow knows.
select
    r.run,
    r.dag_id,
    r.dag_run_id
from cutover.run as r
where
    r.migration = %(migration)s
    and r.started_at > clock_timestamp() - %(hours)s * interval '1 hour'
    and not exists (
        select from cutover.event as e
        where e.migration = r.migration and e.run = r.run and e.kind in ('failed', 'rejected', 'expired')
    )
    and not exists (select from cutover.failure as f where f.run = r.run)

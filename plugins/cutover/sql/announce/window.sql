-- The maintenance window of the newest launch that has one with a time.
select
    r.run,
    r.parameters ->> 'window_opens' as opens,
    (r.parameters ->> 'window_minutes')::integer as minutes
from cutover.run as r
where
    r.migration = %(migration)s
    and r.dag_id = %(migration)s
    and (r.parameters ->> 'maintenance_window')::boolean
    and not coalesce((r.parameters ->> 'dry_run')::boolean, false)
    and r.parameters ->> 'window_opens' is not null
order by r.started_at desc
limit 1

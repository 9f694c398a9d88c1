-- The steps of open windows that should have ended by now and have not, each once: whoever asks tells people. A window
-- is open until its sources are released; a day later nobody is woken any more.
update cutover.timeline as late
set told_late_at = clock_timestamp()
from cutover.run as r
where
    late.run = r.run
    and r.migration = %(migration)s
    and late.planned_at between clock_timestamp() - interval '1 day' and clock_timestamp()
    and late.ended_at is null
    and late.told_late_at is null
    and not exists (
        select from cutover.timeline as released
        where released.run = late.run and released.step = 'release' and released.ended_at is not null
    )
returning
    late.run,
    r.dag_id,
    r.dag_run_id,
    late.step,
    late.planned_at

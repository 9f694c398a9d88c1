-- Messages of announcements that were delivered
-- unit: %
-- at_least: 95
select round(100.0 * count(*) filter (where a.state = 'sent') / nullif(count(*), 0), 1)
from cutover.announcement as a
where a.migration = 'mula_unification' and a.state in ('sent', 'failed', 'unknown')

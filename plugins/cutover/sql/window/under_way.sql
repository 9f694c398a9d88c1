-- The runs of a migration with a planned step of the last day that has not ended.
select distinct planned.run
from cutover.timeline as planned
inner join cutover.run as r on planned.run = r.run
where
    r.migration = %(migration)s
    and planned.planned_at between clock_timestamp() - interval '1 day' and clock_timestamp()
    and planned.ended_at is null

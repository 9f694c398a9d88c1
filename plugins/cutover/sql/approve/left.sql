-- How long the question of a run still waits, by this database's clock.
select q.ends_at - clock_timestamp() as still
from cutover.question as q
where q.run = %(run)s

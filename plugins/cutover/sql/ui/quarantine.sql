-- What could not be carried in a run, by reason.
select
    q.table_name,
    q.operation,
    q.sqlstate,
    q.reason,
    count(*) as writes
from cutover.quarantine as q
where q.run = %(run)s
group by 1, 2, 3, 4
order by writes desc
limit 50

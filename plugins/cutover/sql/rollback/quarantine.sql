select
    table_name,
    operation,
    sqlstate,
    reason,
    count(*)
from cutover.quarantine
where run = %(run)s
group by 1, 2, 3, 4
order by 5 desc
limit 50

select
    table_name,
    operation,
    sum(rows)::bigint as rows
from cutover.put_back(%(run)s, %(migration)s, %(undone)s)
group by 1, 2
order by 1, 2

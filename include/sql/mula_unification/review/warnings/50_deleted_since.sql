-- Source rows left out because somebody has deleted them in the unified database
select
    source,
    reasons -> 'left_out' as reasons,
    left_out
from cutover.reconciliation
where
    run = %(run)s
    and left_out > 0
order by source

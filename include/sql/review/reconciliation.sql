select
    r.source,
    r.read,
    r.staged,
    r.merged,
    r.left_out,
    r.rejected,
    r.reasons,
    r.read - r.staged - r.merged - r.left_out - r.rejected as difference
from cutover.reconciliation as r
where r.run = %(run)s
order by r.source

select
    r.run,
    r.migration,
    r.dag_id,
    r.dag_run_id,
    r.triggered_by,
    r.parameters,
    r.started_at,
    r.frozen_at,
    r.snapshot::text as snapshot,
    r.staged_at,
    r.staged_xid::text as staged_xid,
    r.fingerprint,
    r.validation,
    r.review,
    r.coverage,
    r.asked_at,
    r.filenodes,
    r.finished_at
from cutover.run as r
where r.run = %(run)s

select
    l.entry,
    l.run,
    l.migration,
    l.action,
    l.undoes,
    l.backup_schema,
    l.fingerprint,
    l.approval_id,
    l.approved_by,
    l.snapshot::text as snapshot,
    l.xid::text as xid,
    l.started_at,
    l.locked_at,
    l.recorded_at,
    l.attempts,
    l.tables,
    l.carried,
    l.report
from cutover.ledger as l
where l.run = %(run)s

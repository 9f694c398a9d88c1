-- One ledger entry with the run it belongs to and its certificate.
select
    l.entry,
    l.run,
    l.migration,
    l.action,
    l.undoes,
    undone.entry as undoes_entry,
    taken_back.entry as taken_back_entry,
    l.backup_schema,
    to_regnamespace(quote_ident(l.backup_schema)) is not null as backup_exists,
    l.fingerprint,
    l.approval_id,
    l.approved_by,
    (
        select to_jsonb(a) ->> 'pre_approval_id' is not null
        from cutover.approvals as a
        where a.approval_id = l.approval_id
    ) as pre_approved,
    l.snapshot::text as snapshot,
    l.xid::text as xid,
    l.started_at,
    l.locked_at,
    l.recorded_at,
    extract(epoch from l.recorded_at - l.locked_at) * 1000 as waited_ms,
    (r.review -> 'rehearsal' ->> 'hold_ms')::double precision as rehearsed_ms,
    l.attempts,
    l.tables,
    l.carried,
    l.report ->> 'inventory' as inventory_before,
    (l.report ->> 'facts')::integer as facts,
    coalesce(l.report -> 'statements', '[]') as statements,
    l.report -> 'coverage' as coverage,
    l.report -> 'timing' as timing,
    l.previous_hash,
    l.hash,
    r.dag_id,
    r.dag_run_id,
    r.triggered_by,
    r.frozen_at,
    r.staged_at,
    r.review -> 'tables' as counts,
    c.issued_at,
    c.left_behind,
    c.not_validated,
    c.inventory_hash as inventory_after,
    c.done
from cutover.ledger as l
left join cutover.run as r on l.run = r.run
left join cutover.certificate as c on l.run = c.run
left join cutover.ledger as undone on l.undoes = undone.run
left join cutover.ledger as taken_back on l.run = taken_back.undoes
where l.entry = %(entry)s and l.migration = %(migration)s

-- The steps that other tasks have done, from what those wrote down themselves.
with
actual as (
    select
        'transform' as step,
        r.frozen_at as started_at,
        r.staged_at as ended_at,
        null as note
    from cutover.run as r
    where r.run = %(run)s
    union all
    select
        'approve' as step,
        r.staged_at as started_at,
        max(approved.decided_at) as ended_at,
        string_agg(approved.decision || ' by ' || approved.approved_by, ', ' order by approved.approval_id) as note
    from cutover.run as r
    inner join cutover.approvals as approved on r.run = approved.run and approved.action = 'swap'
    where r.run = %(run)s
    group by r.run
    union all
    select
        'swap' as step,
        entry.started_at,
        entry.recorded_at as ended_at,
        'clients waited '
        || round(extract(epoch from entry.recorded_at - entry.locked_at) * 1000)
        || ' ms at most' as note
    from cutover.ledger as entry
    where entry.run = %(run)s
    union all
    select
        'verify' as step,
        certificate.issued_at as started_at,
        certificate.issued_at as ended_at,
        'certificate' as note
    from cutover.certificate as certificate
    where certificate.run = %(run)s
)

update cutover.timeline as planned
set
    started_at = actual.started_at,
    ended_at = actual.ended_at,
    note = actual.note
from actual
where
    planned.run = %(run)s
    and planned.step = actual.step
    and actual.ended_at is not null

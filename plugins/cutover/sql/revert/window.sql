-- The revert window of one entry of a migration's ledger, or of its newest, by this database's clock. No row where it
-- has none: its approval gave none, or it is a rollback.
with windows as (
    select
        l.entry,
        l.run,
        l.migration,
        l.recorded_at,
        a.approval_id,
        a.approved_by,
        -- an earlier version has no such column
        (to_jsonb(a) ->> 'revert_minutes')::integer as minutes
    from cutover.ledger as l
    inner join cutover.approvals as a on l.approval_id = a.approval_id
    where l.migration = %(migration)s and l.action = 'swap'
),

newest as (
    select
        l.entry,
        l.run
    from cutover.ledger as l
    where l.migration = %(migration)s
    order by l.entry desc
    limit 1
)

select
    w.entry,
    w.run,
    w.migration,
    w.recorded_at,
    w.approval_id,
    w.approved_by,
    w.minutes,
    w.recorded_at + w.minutes * interval '1 minute' as ends_at,
    extract(epoch from w.recorded_at + w.minutes * interval '1 minute' - clock_timestamp())::double precision
        as seconds_left,
    t.run as taken_back_by,
    n.run as newest
from windows as w
cross join newest as n
left join cutover.ledger as t on w.run = t.undoes
where w.minutes is not null and w.entry = coalesce(%(entry)s, n.entry)

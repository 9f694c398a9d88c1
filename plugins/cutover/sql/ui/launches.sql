-- Runs of a migration, newest first, with what became of each: all, those older than `before`, or one.
select
    r.run,
    r.dag_id,
    r.dag_run_id,
    r.triggered_by,
    r.started_at,
    r.review is not null as reviewed,
    r.validation is not null as validated,
    l.entry,
    l.action,
    l.recorded_at,
    taken_back.run as taken_back_by,
    a.decision,
    a.approved_by,
    a.decided_at,
    a.comment,
    case
        when taken_back.run is not null then 'taken back'
        when l.entry is not null then 'done'
        when a.decision = 'reject' then 'rejected'
        when a.decision = 'changes' then 'changes requested'
        when a.completes is false then 'reviewed'
        when a.decision = 'approve' and a.consumed_at is null and a.expires_at > clock_timestamp() then 'approved'
        when a.decision = 'approve' then 'approval void'
        when r.review is not null then 'reviewed'
        else 'begun'
    end as state,
    -- for what an approved one waits
    case
        when l.entry is null and a.decision = 'approve' and a.consumed_at is null and a.expires_at > clock_timestamp()
            then
                w.result || jsonb_build_object(
                    'left_s', extract(epoch from (w.result ->> 'opens_at')::timestamptz - clock_timestamp())
                )
    end as wait
from cutover.run as r
left join cutover.ledger as l on r.run = l.run
left join cutover.ledger as taken_back on l.run = taken_back.undoes
left join lateral (
    select
        n.decision,
        n.approved_by,
        n.decided_at,
        n.comment,
        n.consumed_at,
        n.expires_at,
        -- an earlier version has no such column
        (to_jsonb(n) ->> 'completes')::boolean as completes
    from cutover.approvals as n
    where n.run = r.run
    order by n.approval_id desc
    limit 1
) as a on true
left join lateral (
    select p.result
    from cutover.phase as p
    where p.run = r.run and p.step = 'wait'
    order by p.record_id desc
    limit 1
) as w on true
where
    r.migration = %(migration)s
    -- messages about a launch have a page of their own
    and r.dag_id <> 'announce'
    and (%(before)s::timestamptz is null or r.started_at < %(before)s::timestamptz)
    and (%(dag_run_id)s::text is null or (r.dag_id = %(dag_id)s and r.dag_run_id = %(dag_run_id)s))
order by r.started_at desc
limit %(limit)s

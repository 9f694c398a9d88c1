-- The run that has the schemas `input` and `staging`, and how long it needs what is in them: while a person is asked,
-- and from then on as long as an approval is good for, unless it has been used. What was rejected, or is to be changed,
-- needs them no more.
select
    w.run,
    r.migration,
    r.dag_id,
    r.dag_run_id,
    w.claimed_at,
    case
        when done.run is not null then 'has swapped'
        when answer.decision is not null and answer.expires_at > clock_timestamp() then 'was approved and is to swap'
        when asked.until is not null then 'waits for an answer'
        else 'is under way or has ended'
    end as waits_for,
    done.run is null and answer.decision is null and asked.until > clock_timestamp() as is_asking,
    case
        when done.run is not null or r.asked_at is null or answer.decision in ('reject', 'changes') then null
        when answer.decision is not null and answer.expires_at > clock_timestamp() then answer.expires_at
        when answer.decision is null and asked.until > clock_timestamp() then asked.until
    end as until
from cutover.workspace as w
inner join cutover.run as r on w.run = r.run
left join cutover.ledger as done on w.run = done.run
left join lateral (
    select
        a.decision,
        a.expires_at
    from cutover.approvals as a
    where
        a.run = w.run
        and a.action = 'swap'
        and a.consumed_at is null
        -- others have to answer, too, and are asked; an earlier version has no such column
        and (to_jsonb(a) ->> 'completes')::boolean is not false
    order by a.approval_id desc
    limit 1
) as answer on true
left join lateral (
    select case when p.holds then (p.result ->> 'until')::timestamptz end as until
    from cutover.phase as p
    where p.run = w.run and p.step = 'question'
    order by p.record_id desc
    limit 1
) as asked on true

-- For what the approved swap of a run waits, by the newest look; nothing once it has happened, or its approval is void.
select
    p.result || jsonb_build_object(
        'left_s', extract(epoch from (p.result ->> 'opens_at')::timestamptz - clock_timestamp())
    ) as waits
from cutover.phase as p
where
    p.run = %(run)s
    and p.step = 'wait'
    and not exists (select from cutover.ledger as l where l.run = p.run)
    and exists (
        select from cutover.approvals as a
        where
            a.run = p.run
            and a.action = 'swap'
            and a.decision = 'approve'
            and a.consumed_at is null
            -- an earlier version has no such column
            and (to_jsonb(a) ->> 'completes')::boolean is not false
            and a.expires_at > clock_timestamp()
    )
order by p.record_id desc
limit 1

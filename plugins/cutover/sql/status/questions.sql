-- Questions to a person about this migration that wait for an answer at this moment, the oldest first.
select
    r.dag_id,
    r.dag_run_id,
    extract(epoch from clock_timestamp() - q.asked_at)::double precision as age_s,
    extract(epoch from q.until - clock_timestamp())::double precision as left_s
from cutover.run as r
cross join
    lateral (
        select
            p.holds,
            p.recorded_at as asked_at,
            (p.result ->> 'until')::timestamptz as until
        from cutover.phase as p
        where p.run = r.run and p.step = 'question'
        order by p.record_id desc
        limit 1
    ) as q
where
    r.migration = %(migration)s
    and r.asked_at is not null
    and q.holds
    and q.until > clock_timestamp()
    and not exists (
        select from cutover.approvals as a
        where
            a.run = r.run
            and a.recorded_at >= q.asked_at
            -- an earlier version has no such column
            and (to_jsonb(a) ->> 'completes')::boolean is not false
    )
    and not exists (select from cutover.ledger as l where l.run = r.run)
order by q.asked_at

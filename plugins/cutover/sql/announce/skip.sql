-- Whoever of the audience is not told, with the reason. With a reason for everybody, all who are left.
insert into cutover.announcement as n (
    migration, campaign, channel, person, address, run, state, reason, attempts, ended_at
)
select
    %(migration)s,
    %(campaign)s,
    a.channel,
    a.person,
    cutover.person_digest(a.email),
    a.run,
    'skipped',
    coalesce(a.skip, s.reason, %(everybody)s),
    0,
    clock_timestamp()
from cutover.audience as a
left join lateral (
    select s.reason
    from cutover.suppression as s
    where a.channel = 'email' and s.recipient = cutover.person_digest(a.email)
    order by s.reason desc
    limit 1
) as s on true
where
    a.run = %(run)s
    and a.erased_at is null
    and coalesce(a.skip, s.reason, %(everybody)s) is not null
on conflict (migration, campaign, channel, person) do update
    set
        run = excluded.run,
        state = excluded.state,
        reason = excluded.reason,
        ended_at = excluded.ended_at
    where n.state in ('deferred', 'skipped')

-- Whoever was to be told and is not by the migration's query of this moment: has opted out since, or is gone.
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
    coalesce(now_is.skip, 'gone') || ' since the approval was asked for',
    0,
    clock_timestamp()
from cutover.audience as a
left join (
    select
        q.channel,
        q.skip,
        cutover.person_digest(q.person) as person
    from ({audience}) as q
) as now_is on a.channel = now_is.channel and a.person = now_is.person
where
    a.run = %(run)s
    and a.erased_at is null
    and a.skip is null
    and (now_is.person is null or now_is.skip is not null)
on conflict (migration, campaign, channel, person) do update
    set
        run = excluded.run,
        state = excluded.state,
        reason = excluded.reason,
        ended_at = excluded.ended_at
    where n.state in ('deferred', 'skipped')

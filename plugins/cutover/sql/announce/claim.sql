-- Claims one message, unless somebody else has it, it has been sent, or the person has unsubscribed meanwhile.
with claimed as (
    insert into cutover.announcement as n (
        migration, campaign, channel, person, address, run, state, sender_pid, sender_started
    )
    select
        %(migration)s,
        %(campaign)s,
        a.channel,
        a.person,
        cutover.person_digest(a.email),
        a.run,
        'claimed',
        %(pid)s,
        %(started)s
    from cutover.audience as a
    where
        a.audience_id = %(audience_id)s
        and a.skip is null
        and a.erased_at is null
        and not exists (
            select from cutover.suppression as s
            where a.channel = 'email' and s.recipient = cutover.person_digest(a.email)
        )
    on conflict (migration, campaign, channel, person) do update
        set
            run = excluded.run,
            address = excluded.address,
            state = excluded.state,
            reason = null,
            attempts = n.attempts + 1,
            sender_pid = excluded.sender_pid,
            sender_started = excluded.sender_started,
            claimed_at = clock_timestamp(),
            ended_at = null
        where n.state = 'deferred' or (n.state = 'skipped' and n.run <> excluded.run)
    returning n.announcement_id, n.letter, n.attempts
)

select
    c.announcement_id,
    c.letter::text as letter,
    c.attempts,
    a.name,
    a.recipients
from claimed as c
cross join cutover.audience as a
where a.audience_id = %(audience_id)s

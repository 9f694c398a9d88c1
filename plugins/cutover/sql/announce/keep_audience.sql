-- Whom a run would tell, as the migration's own query says, without devices that are gone. Who has unsubscribed, or
-- whose mailbox is not there, is left out with that reason.
insert into cutover.audience (run, channel, person, email, user_id, name, recipients, skip)
select
    %(run)s,
    a.channel,
    cutover.person_digest(a.person),
    a.email,
    a.user_id,
    a.name,
    r.recipients,
    coalesce(
        a.skip,
        (
            select s.reason
            from cutover.suppression as s
            where a.channel = 'email' and s.recipient = cutover.person_digest(a.email)
            order by s.reason desc
            limit 1
        ),
        case when r.recipients is null then 'no device' end
    )
from ({audience}) as a
cross join
    lateral (
        select array_agg(t.recipient order by t.place) as recipients
        from unnest(a.recipients) with ordinality as t (recipient, place)
        where
            not exists (
                select from cutover.suppression as s
                where s.recipient = cutover.person_digest(t.recipient) and s.reason = 'unregistered'
            )
    ) as r
where a.channel = any(%(channels)s)
order by a.person

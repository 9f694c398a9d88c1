-- A few of the people whom a run would tell.
select
    s.channel,
    s.name,
    s.recipients
from (
    select
        a.channel,
        a.name,
        a.recipients,
        a.audience_id,
        row_number() over (partition by a.channel order by a.audience_id) as place
    from cutover.audience as a
    where a.run = %(run)s and a.skip is null
) as s
where s.place <= %(limit)s
order by s.channel, s.audience_id

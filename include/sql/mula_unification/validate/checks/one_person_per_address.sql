-- Nobody is two people: one person per e-mail key, and an e-mail key for everybody whom this launch brings. What the
-- unified database has made of its own people since is not judged.
select
    cutover.email_key(person.email) as email_key,
    count(*) as people
from staging.users as person
left join input.live_users as live on person.id = live.id
group by cutover.email_key(person.email)
having
    bool_or(live.id is null)
    and (
        count(*) > 1
        or cutover.email_key(person.email) is null
    )

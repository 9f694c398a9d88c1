-- Nobody is two people: one person per e-mail key, and one e-mail key per person at the first launch.
select
    cutover.email_key(email) as email_key,
    count(*) as people
from staging.users
group by cutover.email_key(email)
having
    count(*) > 1
    or cutover.email_key(email) is null

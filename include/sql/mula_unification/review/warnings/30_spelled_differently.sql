-- People whose accounts spell the address differently
select
    user_id,
    accounts
from cutover.merge
where
    run = %(run)s
    and rule = 'same e-mail address, spelled differently'
order by user_id

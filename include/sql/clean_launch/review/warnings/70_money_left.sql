-- Commissions owed to affiliates who are no customers: their rows are only in the backup afterwards.
select
    a.id as affiliate,
    u.email,
    a.status,
    a.total_earned
from input.affiliates as a
left join input.person_account as known on a.user_id = known.account_id
left join input.auth_users as u on a.user_id = u.id
where known.account_id is null and a.total_earned <> 0
order by a.total_earned desc, a.id asc

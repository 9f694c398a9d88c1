-- Accounts of a person who has another: they stay; the profile and all it holds go to the one named.
select
    a.account_id as account,
    a.person_id as goes_to,
    u.email,
    u.created_at
from input.person_account as a
inner join input.auth_users as u on a.account_id = u.id
where a.account_id <> a.person_id
order by u.created_at asc, a.account_id asc

-- Customers whose account is banned: it stays banned, and gets what they have paid for.
select
    person.id as account_id,
    u.banned_until
from input.person as person
inner join input.auth_users as u on person.id = u.id
where u.banned_until > now()
order by u.banned_until desc, person.id asc

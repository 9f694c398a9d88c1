-- Customers whose only account was deleted in production: it is used as it is, and not revived.
select
    person.id as account_id,
    u.deleted_at
from input.person as person
inner join input.auth_users as u on person.id = u.id
where u.deleted_at is not null
order by u.deleted_at desc, person.id asc

-- Customers whose account has another address today: found by the profile's address, or by an earlier launch's id.
select
    id as account_id,
    found
from input.person
where found in ('profile', 'derived id')
order by id asc

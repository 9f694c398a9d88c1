-- Customers whose account has another address today: found by payments booked under the profile's address, by the
-- contact's earlier one, or by an earlier launch's id.
select
    id as account_id,
    found
from input.person
where found in ('profile', 'contact', 'derived id')
order by id asc

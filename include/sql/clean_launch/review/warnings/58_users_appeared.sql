-- Customers who have made an account themselves since the freeze: the swap gives their staged rows its id.
select distinct on (staged.id)
    staged.id as staged_id,
    u.id as actual_id
from staging.users as staged
inner join auth.users as u on staged.email = cutover.email_key(u.email)
where staged.is_new
order by
    staged.id asc,
    (u.deleted_at is null) desc,
    (u.email_confirmed_at is not null) desc,
    u.created_at asc nulls last,
    u.id asc

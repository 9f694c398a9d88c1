-- Customers who have made an account themselves since the freeze: the swap gives their staged rows its id.
select
    staged.id as staged_id,
    appeared.id as actual_id
from staging.users as staged
inner join lateral (
    select u.id
    from auth.users as u
    where cutover.email_key(u.email) = staged.email
    order by u.created_at asc nulls last, u.id asc
    limit 1
) as appeared on true
where staged.is_new
order by staged.id asc

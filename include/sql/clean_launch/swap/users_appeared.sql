-- Customers for whom an account was to be made, and who have made one themselves since the freeze.
select
    staged.id as staged_id,
    appeared.id as actual_id,
    staged.email as email_key
from staging.users as staged
inner join lateral (
    select u.id
    from auth.users as u
    where cutover.email_key(u.email) = staged.email
    order by u.created_at asc nulls last, u.id asc
    limit 1
) as appeared on true
where staged.is_new

-- Tagged, no payment found: enrolled on the word of the tag alone.
select
    p.email,
    e.product_type as product,
    e.enrolled_at
from staging.enrollments as e
inner join staging.unified_profiles as p on e.user_id = p.id
where e.transaction_id is null
order by e.enrolled_at asc, e.id asc

-- Enrolments in production that no payment or tag supports: the right to the product ends with the swap.
select
    c.id as enrollment_id,
    c.user_id,
    c.product_type,
    c.last_accessed_at,
    known.account_id is not null as of_a_customer
from input.enrollments as c
left join staging.enrollments as e on c.id = e.id
left join input.person_account as known on c.user_id = known.account_id
where e.id is null
order by 5 desc, c.last_accessed_at desc nulls last, c.id asc

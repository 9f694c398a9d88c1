-- Customers' enrolments in products outside the catalogue: they stay as they are.
select
    kept.id as enrollment_id,
    kept.user_id,
    kept.product_type as product,
    kept.status,
    kept.enrolled_at,
    kept.last_accessed_at
from input.kept_enrolment as kept
inner join input.person as person on kept.user_id = person.id
order by kept.product_type asc, kept.enrolled_at desc nulls last, kept.id asc

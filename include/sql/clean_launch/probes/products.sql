-- Products that somebody may use, as the course list asks for them.
-- assert: some rows
select
    e.product_type,
    count(*) as students
from enrollments as e
where e.status = 'active'
group by e.product_type

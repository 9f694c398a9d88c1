-- Enrolments by product and status, before and after.
with
counted as (
    select
        'before' as moment,
        product_type,
        status
    from input.enrollments
    union all
    select
        'after' as moment,
        product_type,
        status
    from staging.enrollments
)

select
    product_type as product,
    status,
    count(*) filter (where moment = 'before') as before,
    count(*) filter (where moment = 'after') as after,
    count(*) filter (where moment = 'after') - count(*) filter (where moment = 'before') as change
from counted
group by 1, 2
order by 1, 2

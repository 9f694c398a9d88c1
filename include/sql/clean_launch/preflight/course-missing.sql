-- Products whose course was deleted in the application: their enrolments would refer to nothing.
select
    'product ' || p.product_type as object,
    'its course ' || p.course_id || ' is not in public.courses any more' as why,
    'enter the course that takes its place, or null, as course_id of this product in cutover.product.' as remedy
from cutover.product as p
where
    p.course_id is not null
    and not exists (select from public.courses as c where c.id = p.course_id)
order by p.product_type asc

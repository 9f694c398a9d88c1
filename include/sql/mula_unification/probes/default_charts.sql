-- The chart that each person's page opens with.
select
    c.user_id,
    c.id,
    c.birth_date
from public.birth_charts as c
where c.is_default

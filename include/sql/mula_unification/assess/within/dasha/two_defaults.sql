-- Users with more than one default chart
select count(*) as found
from (
    select user_id
    from public.birth_charts
    where is_default
    group by user_id
    having count(*) > 1
) as several

-- What is switched on.
select
    name,
    is_on,
    meaning
from platform.feature_flag
order by name;

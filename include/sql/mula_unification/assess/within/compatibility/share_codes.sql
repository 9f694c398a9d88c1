-- Share codes that several results have: a link leads to one of them
select count(*) as found
from (
    select share_code
    from public.compatibility_results
    where share_code is not null
    group by share_code
    having count(*) > 1
) as repeated

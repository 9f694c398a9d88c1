-- Results that a shared link leads to.
select
    r.share_code,
    r.overall_score
from public.compatibility_results as r
where r.share_code is not null

-- A result by its share code: scores only, nothing of whose it is.
select
    r.id,
    r.overall_score,
    r.venus_score,
    r.mars_score,
    r.moon_score,
    r.sun_score,
    r.calculated_at,
    coalesce(r.view_count, 0) as views_before
from public.compatibility_results as r
where r.share_code = %(code)s;

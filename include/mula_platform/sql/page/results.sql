-- Compatibility results that may be shown, the last one first.
select
    r.id,
    r.overall_score,
    r.venus_score,
    r.mars_score,
    r.moon_score,
    r.sun_score,
    r.share_code,
    r.calculated_at,
    r.detailed_breakdown ->> 'partner_name' as partner_name,
    coalesce(r.view_count, 0) + (
        select coalesce(sum(v.views), 0)
        from platform.share_view as v
        where v.result_id = r.id
    ) as views
from public.compatibility_results as r
where r.user_id = %(user_id)s and platform.is_shown('compatibility_results', r.id, %(hidden)s)
order by r.calculated_at desc, r.id asc
limit %(most)s;

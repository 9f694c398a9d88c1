-- All results, both charts under their new ids, share codes as they were; and those that the unified database has
-- besides.
insert into staging.compatibility_results (
    id,
    user_id,
    chart1_id,
    chart2_id,
    overall_score,
    venus_score,
    mars_score,
    moon_score,
    sun_score,
    detailed_breakdown,
    share_code,
    calculated_at,
    view_count
)
select
    id,
    user_id,
    chart1_id,
    chart2_id,
    overall_score,
    venus_score,
    mars_score,
    moon_score,
    sun_score,
    detailed_breakdown,
    share_code,
    calculated_at,
    view_count
from input.result
where fate = 'staged'
union all
select
    live.id,
    live.user_id,
    live.chart1_id,
    live.chart2_id,
    live.overall_score,
    live.venus_score,
    live.mars_score,
    live.moon_score,
    live.sun_score,
    live.detailed_breakdown,
    live.share_code,
    live.calculated_at,
    live.view_count
from input.live_compatibility_results as live
where not exists (select from input.result as result where result.id = live.id and result.fate = 'staged')

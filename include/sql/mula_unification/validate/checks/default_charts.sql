-- Whoever had a default chart has exactly one.
select
    chart.user_id,
    count(*) filter (where staged.is_default) as defaults
from input.chart as chart
inner join staging.birth_charts as staged on chart.user_id = staged.user_id
where
    chart.fate = 'staged'
    and chart.is_default
    -- a person who has chosen in the unified database may have chosen none
    and not exists (select from input.live_birth_charts as live where live.user_id = chart.user_id)
group by chart.user_id
having count(distinct staged.id) filter (where staged.is_default) <> 1

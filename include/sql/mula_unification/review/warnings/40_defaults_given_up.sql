-- Default charts that are no default any more, because the person had several
select
    chart.source,
    chart.legacy_id,
    chart.user_id
from input.chart as chart
inner join staging.birth_charts as staged on chart.id = staged.id
where
    chart.fate = 'staged'
    and chart.is_default
    and not staged.is_default
order by chart.source asc, chart.legacy_id asc

-- All charts of both sources, and those that the unified database has besides. At most one default per person: the
-- one chosen in the unified database, else the most recently created.
insert into staging.birth_charts (
    id,
    user_id,
    birth_date,
    birth_time,
    birth_location_lat,
    birth_location_lng,
    birth_location_name,
    timezone_offset,
    chart_data,
    created_at,
    is_default
)
with together as (
    select
        chart.id,
        chart.user_id,
        chart.birth_date,
        chart.birth_time,
        chart.birth_location_lat,
        chart.birth_location_lng,
        chart.birth_location_name,
        chart.timezone_offset,
        chart.chart_data,
        chart.created_at,
        coalesce(live.is_default, chart.is_default) as is_default,
        live.id is not null as is_live
    from input.chart as chart
    left join input.live_birth_charts as live on chart.id = live.id
    where chart.fate = 'staged'
    union all
    select
        live.id,
        live.user_id,
        live.birth_date,
        live.birth_time,
        live.birth_location_lat,
        live.birth_location_lng,
        live.birth_location_name,
        live.timezone_offset,
        live.chart_data,
        live.created_at,
        live.is_default,
        true as is_live
    from input.live_birth_charts as live
    where not exists (select from input.chart as chart where chart.id = live.id and chart.fate = 'staged')
)

select
    id,
    user_id,
    birth_date,
    birth_time,
    birth_location_lat,
    birth_location_lng,
    birth_location_name,
    timezone_offset,
    chart_data,
    created_at,
    is_default
    and row_number() over (
        partition by user_id, is_default
        order by is_live desc, created_at desc, id asc
    ) = 1 as is_default
from together

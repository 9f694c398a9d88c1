-- All periods of the Dasha Timer, and those that the unified database has besides.
insert into staging.dasha_data (
    id,
    user_id,
    chart_id,
    current_dasha,
    current_dasha_start,
    current_dasha_end,
    dasha_sequence,
    calculated_at
)
select
    id,
    user_id,
    chart_id,
    current_dasha,
    current_dasha_start,
    current_dasha_end,
    dasha_sequence,
    calculated_at
from input.dasha
where fate = 'staged'
union all
select
    live.id,
    live.user_id,
    live.chart_id,
    live.current_dasha,
    live.current_dasha_start,
    live.current_dasha_end,
    live.dasha_sequence,
    live.calculated_at
from input.live_dasha_data as live
where not exists (select from input.dasha as dasha where dasha.id = live.id and dasha.fate = 'staged')

-- The periods that are running or begin next, of the charts that may be shown; the default chart's first.
select
    d.current_dasha,
    d.current_dasha_start,
    d.current_dasha_end,
    d.dasha_sequence,
    c.birth_location_name,
    d.current_dasha_end - current_date as days_remaining,
    greatest(d.current_dasha_end - d.current_dasha_start, 1) as days_in_all
from public.dasha_data as d
inner join public.birth_charts as c on d.chart_id = c.id and c.user_id = d.user_id
where
    d.user_id = %(user_id)s
    and platform.is_shown('dasha_data', d.id, %(hidden)s)
    and platform.is_shown('birth_charts', c.id, %(hidden)s)
order by c.is_default desc, d.current_dasha_end >= current_date desc, d.calculated_at desc, d.id asc
limit %(most)s;

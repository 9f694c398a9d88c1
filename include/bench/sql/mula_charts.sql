-- Two charts for each account.
insert into public.birth_charts (
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
    is_default,
    updated_at
)
select
    n as id,
    (n + 1) / 2 as user_id,
    timestamp '1960-01-01' + n * interval '9 minutes' as birth_date,
    '06:30' as birth_time,
    18.52 as birth_location_lat,
    73.86 as birth_location_lng,
    'Pune, India' as birth_location_name,
    330 as timezone_offset,
    jsonb_build_object('ascendant', 'Leo', 'sun', n %% 360, 'moon', n * 7 %% 360) as chart_data,
    timestamp '2025-11-10' + n * interval '1 second' as created_at,
    n %% 2 = 0 as is_default,
    timestamptz '2025-11-10' + n * interval '1 second' as updated_at
from generate_series(1::bigint, 2 * %(users)s) as n

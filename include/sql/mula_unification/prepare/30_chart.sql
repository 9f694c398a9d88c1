-- Every birth chart of both sources, and what becomes of it (`fate`: staged, merged, left_out, rejected, and why).
-- `merged`: the unified database has the row, and somebody has changed it there; that version stays.
drop table if exists input.chart;

create table input.chart as
with
source_chart as (
    select
        'dasha' as source,
        id::text as legacy_id,
        user_id::text as legacy_user_id,
        birth_date,
        birth_time,
        birth_location_lat,
        birth_location_lng,
        birth_location_name,
        timezone_offset,
        chart_data,
        created_at at time zone 'UTC' as created_at,
        is_default,
        api_synced_at as read_at
    from input.dasha_birth_charts
    union all
    select
        'compatibility' as source,
        id::text as legacy_id,
        user_id::text as legacy_user_id,
        birth_date,
        birth_time,
        birth_location_lat,
        birth_location_lng,
        birth_location_name,
        timezone_offset,
        chart_data,
        created_at,
        is_default,
        api_synced_at as read_at
    from input.compatibility_birth_charts
),

chart as (
    select
        md5('mula_unification/birth_charts/' || source || '/' || legacy_id)::uuid as id,
        source_chart.*
    from source_chart
),

judged as (
    select
        chart.*,
        account.user_id,
        case
            when account.source is null then 'orphan_user'
            when account.fate = 'rejected' then 'user_rejected'
            -- nobody alive was born before 1800, and nobody is born after their chart was made; a day for time zones
            when
                chart.birth_date is null
                or chart.birth_date < timestamp '1800-01-01'
                or chart.birth_date > coalesce(chart.created_at, chart.read_at) at time zone 'UTC' + interval '1 day'
                then 'impossible_date'
        end as rejected_reason,
        case
            when account.fate = 'left_out' then 'its account was deleted in the unified database'
            when change.is_deleted then 'deleted in the unified database'
        end as left_out_reason,
        case when not change.is_deleted then 'changed in the unified database' end as merged_reason
    from chart
    left join input.account as account on chart.source = account.source and chart.legacy_user_id = account.legacy_id
    left join input.live_changed as change on chart.id = change.id and change.table_name = 'birth_charts'
)

select
    id,
    source,
    legacy_id,
    user_id,
    birth_date,
    birth_time,
    birth_location_lat,
    birth_location_lng,
    birth_location_name,
    timezone_offset,
    chart_data,
    coalesce(created_at, read_at) as created_at,
    coalesce(is_default, false) as is_default,
    case
        when rejected_reason is not null then 'rejected'
        when left_out_reason is not null then 'left_out'
        when merged_reason is not null then 'merged'
        else 'staged'
    end as fate,
    coalesce(rejected_reason, left_out_reason, merged_reason) as reason
from judged;

alter table input.chart add primary key (source, legacy_id);
create index on input.chart (id);
analyze input.chart;

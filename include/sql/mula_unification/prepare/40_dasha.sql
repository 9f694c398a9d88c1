-- Every row of the Dasha Timer's dasha_data, and what becomes of it.
drop table if exists input.dasha;

create table input.dasha as
with judged as (
    select
        md5('mula_unification/dasha_data/dasha/' || source.id)::uuid as id,
        'dasha' as source,
        source.id::text as legacy_id,
        account.user_id,
        chart.id as chart_id,
        source.current_dasha,
        source.current_dasha_start,
        source.current_dasha_end,
        source.dasha_sequence,
        coalesce(source.calculated_at at time zone 'UTC', source.api_synced_at) as calculated_at,
        case
            when account.source is null then 'orphan_user'
            when account.fate = 'rejected' then 'user_rejected'
            when chart.source is null then 'orphan_chart'
            when chart.fate = 'rejected' then 'chart_rejected'
            when source.current_dasha_end < source.current_dasha_start then 'impossible_period'
        end as rejected_reason,
        case
            when account.fate = 'left_out' then 'its account was deleted in the unified database'
            when chart.fate = 'left_out' then 'its chart was deleted in the unified database'
            when change.is_deleted then 'deleted in the unified database'
        end as left_out_reason,
        case when not change.is_deleted then 'changed in the unified database' end as merged_reason
    from input.dasha_dasha_data as source
    left join input.account as account on source.user_id::text = account.legacy_id and account.source = 'dasha'
    left join input.chart as chart on source.chart_id::text = chart.legacy_id and chart.source = 'dasha'
    left join input.live_changed as change
        on
            md5('mula_unification/dasha_data/dasha/' || source.id)::uuid = change.id
            and change.table_name = 'dasha_data'
)

select
    id,
    source,
    legacy_id,
    user_id,
    chart_id,
    current_dasha,
    current_dasha_start,
    current_dasha_end,
    dasha_sequence,
    calculated_at,
    case
        when rejected_reason is not null then 'rejected'
        when left_out_reason is not null then 'left_out'
        when merged_reason is not null then 'merged'
        else 'staged'
    end as fate,
    coalesce(rejected_reason, left_out_reason, merged_reason) as reason
from judged;

alter table input.dasha add primary key (source, legacy_id);
create index on input.dasha (id);
analyze input.dasha;

-- Every compatibility result, and what becomes of it. A link must lead to what it always led to: where two results
-- have one share code, it stays with the one in the unified database, else with the one that had it first.
drop table if exists input.result;

create table input.result as
with
joined as (
    select
        md5('mula_unification/compatibility_results/compatibility/' || source.id)::uuid as id,
        'compatibility' as source,
        source.id::text as legacy_id,
        account.user_id,
        chart1.id as chart1_id,
        chart2.id as chart2_id,
        source.overall_score,
        source.venus_score,
        source.mars_score,
        source.moon_score,
        source.sun_score,
        source.detailed_breakdown,
        source.share_code,
        coalesce(source.calculated_at, source.api_synced_at) as calculated_at,
        coalesce(source.view_count, 0) as view_count,
        case
            when account.source is null then 'orphan_user'
            when account.fate = 'rejected' then 'user_rejected'
            when chart1.source is null or (source.chart2_id is not null and chart2.source is null) then 'orphan_chart'
            when chart1.fate = 'rejected' or chart2.fate = 'rejected' then 'chart_rejected'
            when source.overall_score not between 0 and 100 then 'impossible_score'
        end as rejected_reason,
        case
            when account.fate = 'left_out' then 'its account was deleted in the unified database'
            when
                chart1.fate = 'left_out' or chart2.fate = 'left_out'
                then 'its chart was deleted in the unified database'
        end as left_out_reason
    from input.compatibility_results as source
    left join input.account as account
        on source.user_id::text = account.legacy_id and account.source = 'compatibility'
    left join input.chart as chart1
        on source.chart1_id::text = chart1.legacy_id and chart1.source = 'compatibility'
    left join input.chart as chart2
        on source.chart2_id::text = chart2.legacy_id and chart2.source = 'compatibility'
),

ranked as (
    select
        joined.*,
        row_number() over (
            partition by joined.share_code, joined.rejected_reason is null and joined.left_out_reason is null
            order by joined.calculated_at asc, joined.id asc
        ) as claim
    from joined
),

judged as (
    select
        ranked.*,
        change.is_deleted,
        ranked.rejected_reason is null
        and ranked.left_out_reason is null
        and ranked.share_code is not null
        and (ranked.claim > 1 or live.id is not null) as is_taken
    from ranked
    left join input.live_changed as change on ranked.id = change.id and change.table_name = 'compatibility_results'
    left join input.live_compatibility_results as live on ranked.share_code = live.share_code and ranked.id <> live.id
)

select
    id,
    source,
    legacy_id,
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
    view_count,
    case
        when rejected_reason is not null or is_taken then 'rejected'
        when left_out_reason is not null or is_deleted then 'left_out'
        when not is_deleted then 'merged'
        else 'staged'
    end as fate,
    case
        when rejected_reason is not null then rejected_reason
        when is_taken then 'share_code_taken'
        when left_out_reason is not null then left_out_reason
        when is_deleted then 'deleted in the unified database'
        when not is_deleted then 'changed in the unified database'
    end as reason
from judged;

alter table input.result add primary key (source, legacy_id);
create index on input.result (id);
analyze input.result;

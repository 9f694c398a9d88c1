-- What the unified database has by now; at the first launch it has no such table.
do $$
begin
    create table input.live_compatibility_results (
        id uuid,
        user_id uuid,
        chart1_id uuid,
        chart2_id uuid,
        overall_score integer,
        venus_score integer,
        mars_score integer,
        moon_score integer,
        sun_score integer,
        detailed_breakdown jsonb,
        share_code text,
        calculated_at timestamptz,
        view_count integer
    );
    if to_regclass('public.compatibility_results') is not null then
        insert into input.live_compatibility_results
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
        from public.compatibility_results;
    end if;
end $$;

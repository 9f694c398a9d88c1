-- What the unified database has by now; at the first launch it has no such table.
do $$
begin
    create table input.live_dasha_data (
        id uuid,
        user_id uuid,
        chart_id uuid,
        current_dasha text,
        current_dasha_start date,
        current_dasha_end date,
        dasha_sequence jsonb,
        calculated_at timestamptz
    );
    if to_regclass('public.dasha_data') is not null then
        insert into input.live_dasha_data
        select
            id,
            user_id,
            chart_id,
            current_dasha,
            current_dasha_start,
            current_dasha_end,
            dasha_sequence,
            calculated_at
        from public.dasha_data;
    end if;
end $$;

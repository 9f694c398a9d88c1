-- What the unified database has by now; at the first launch it has no such table.
do $$
begin
    create table input.live_birth_charts (
        id uuid,
        user_id uuid,
        birth_date timestamp,
        birth_time text,
        birth_location_lat double precision,
        birth_location_lng double precision,
        birth_location_name text,
        timezone_offset integer,
        chart_data jsonb,
        created_at timestamptz,
        is_default boolean
    );
    if to_regclass('public.birth_charts') is not null then
        insert into input.live_birth_charts
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
        from public.birth_charts;
    end if;
end $$;

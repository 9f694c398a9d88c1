-- What the unified database has by now; at the first launch it has no such table.
do $$
begin
    create table input.live_activity_log (
        id uuid,
        user_id uuid,
        action text,
        metadata jsonb,
        created_at timestamptz
    );
    if to_regclass('public.activity_log') is not null then
        insert into input.live_activity_log
        select
            id,
            user_id,
            action,
            metadata,
            created_at
        from public.activity_log;
    end if;
end $$;

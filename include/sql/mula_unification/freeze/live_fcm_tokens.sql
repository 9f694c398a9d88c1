-- What the unified database has by now; at the first launch it has no such table.
do $$
begin
    create table input.live_fcm_tokens (
        id uuid,
        user_id uuid,
        token text,
        device_name text,
        created_at timestamptz,
        is_active boolean
    );
    if to_regclass('public.fcm_tokens') is not null then
        insert into input.live_fcm_tokens
        select
            id,
            user_id,
            token,
            device_name,
            created_at,
            is_active
        from public.fcm_tokens;
    end if;
end $$;

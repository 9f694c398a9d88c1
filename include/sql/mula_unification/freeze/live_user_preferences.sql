-- What the unified database has by now; at the first launch it has no such table.
do $$
begin
    create table input.live_user_preferences (
        id uuid,
        user_id uuid,
        notifications_enabled boolean,
        daily_dasha_reminder boolean,
        email_enabled boolean,
        marketing_emails boolean,
        daily_reminder_time time,
        timezone text,
        data jsonb,
        updated_at timestamptz
    );
    if to_regclass('public.user_preferences') is not null then
        insert into input.live_user_preferences
        select
            id,
            user_id,
            notifications_enabled,
            daily_dasha_reminder,
            email_enabled,
            marketing_emails,
            daily_reminder_time,
            timezone,
            data,
            updated_at
        from public.user_preferences;
    end if;
end $$;

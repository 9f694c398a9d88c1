-- What the person has chosen.
insert into public.user_preferences as p (
    user_id, notifications_enabled, daily_dasha_reminder, email_enabled, marketing_emails, daily_reminder_time, timezone
)
values (
    %(user_id)s,
    %(notifications_enabled)s,
    %(daily_dasha_reminder)s,
    %(email_enabled)s,
    %(marketing_emails)s,
    %(daily_reminder_time)s,
    %(timezone)s
)
on conflict (user_id) do update
    set
        notifications_enabled = excluded.notifications_enabled,
        daily_dasha_reminder = excluded.daily_dasha_reminder,
        email_enabled = excluded.email_enabled,
        marketing_emails = excluded.marketing_emails,
        daily_reminder_time = excluded.daily_reminder_time,
        timezone = excluded.timezone,
        updated_at = now()
    where platform.is_shown('user_preferences', p.id, %(hidden)s)
returning id;

-- The person's preferences, unless they are united with those of an account that may not be shown.
select
    p.notifications_enabled,
    p.daily_dasha_reminder,
    p.email_enabled,
    p.marketing_emails,
    to_char(p.daily_reminder_time, 'HH24:MI') as daily_reminder_time,
    p.timezone,
    platform.is_shown('user_preferences', p.id, %(hidden)s) as is_shown
from public.user_preferences as p
where p.user_id = %(user_id)s;

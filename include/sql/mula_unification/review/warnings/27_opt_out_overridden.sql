-- Switched off in one application and switched on later in the other: the latest stands, so it is on
with
consent as (
    select
        preference.user_id,
        preference.source,
        preference.updated_at,
        preference.place,
        choice.name,
        choice.is_on
    from input.preference as preference
    cross join
        lateral (
            values
            ('notifications_enabled', preference.notifications_enabled),
            ('daily_dasha_reminder', preference.daily_dasha_reminder),
            ('email_enabled', preference.email_enabled),
            ('marketing_emails', preference.marketing_emails)
        ) as choice (name, is_on)
    where preference.fate in ('staged', 'merged') and choice.is_on is not null
),

-- what stands: a person who has said so in the unified database is nobody's loss
latest as (
    select distinct on (user_id, name) *
    from consent
    order by user_id asc, name asc, place asc
)

select
    consent.user_id,
    consent.name as preference,
    consent.source as switched_off_in,
    consent.updated_at as switched_off_at,
    latest.source as switched_on_in,
    latest.updated_at as switched_on_at
from consent
inner join latest on consent.user_id = latest.user_id and consent.name = latest.name
where
    not consent.is_on
    and latest.is_on
    and consent.source <> 'unified'
    and latest.source <> 'unified'
order by consent.user_id asc, consent.name asc, consent.source asc

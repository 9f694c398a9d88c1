-- One per person: the most recently updated wins, what it does not say comes from the next, and `data` is united key by
-- key with the winner's values first. The id of the unified database's row stays.
insert into staging.user_preferences (
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
)
with
usable as (
    select *
    from input.preference
    where fate in ('staged', 'merged')
),

united as (
    select
        usable.user_id,
        -- of two values for one key the later in this order stays: the one of the least place
        jsonb_object_agg(pair.key, pair.value order by usable.place desc) as data
    from usable
    cross join lateral jsonb_each(usable.data) as pair
    group by usable.user_id
)

select
    coalesce(
        (array_agg(usable.id) filter (where usable.source = 'unified'))[1],
        (array_agg(usable.id order by usable.place))[1]
    ) as id,
    usable.user_id,
    coalesce(
        (
            array_agg(usable.notifications_enabled order by usable.place)
            filter (where usable.notifications_enabled is not null)
        )[1
        ],
        true
    ) as notifications_enabled,
    coalesce(
        (
            array_agg(usable.daily_dasha_reminder order by usable.place)
            filter (where usable.daily_dasha_reminder is not null)
        )[1
        ],
        true
    ) as daily_dasha_reminder,
    coalesce(
        (array_agg(usable.email_enabled order by usable.place) filter (where usable.email_enabled is not null))[1],
        true
    ) as email_enabled,
    coalesce(
        (
            array_agg(usable.marketing_emails order by usable.place)
            filter (where usable.marketing_emails is not null)
        )[1
        ],
        false
    ) as marketing_emails,
    coalesce(
        (
            array_agg(usable.daily_reminder_time order by usable.place)
            filter (where usable.daily_reminder_time is not null)
        )[1
        ],
        time '09:00'
    ) as daily_reminder_time,
    coalesce(
        (array_agg(usable.timezone order by usable.place) filter (where usable.timezone is not null))[1], 'UTC'
    ) as timezone,
    coalesce((array_agg(united.data))[1], '{}') as data,
    max(usable.updated_at) as updated_at
from usable
left join united on usable.user_id = united.user_id
group by usable.user_id

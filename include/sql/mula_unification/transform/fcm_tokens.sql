-- Every token once per person, and those that the unified database has besides.
insert into staging.fcm_tokens (
    id,
    user_id,
    token,
    device_name,
    created_at,
    is_active
)
select
    id,
    user_id,
    token,
    device_name,
    created_at,
    is_active
from input.token
where fate = 'staged'
union all
select
    live.id,
    live.user_id,
    live.token,
    live.device_name,
    live.created_at,
    live.is_active
from input.live_fcm_tokens as live
where not exists (select from input.token as token where token.id = live.id and token.fate = 'staged')

-- A repeat loses nothing that the unified database has: every row is there again under its id.
select
    'users' as table_name,
    live.id
from input.live_users as live
where not exists (select from staging.users as staged where staged.id = live.id)
union all
select
    'birth_charts' as table_name,
    live.id
from input.live_birth_charts as live
where not exists (select from staging.birth_charts as staged where staged.id = live.id)
union all
select
    'dasha_data' as table_name,
    live.id
from input.live_dasha_data as live
where not exists (select from staging.dasha_data as staged where staged.id = live.id)
union all
select
    'compatibility_results' as table_name,
    live.id
from input.live_compatibility_results as live
where not exists (select from staging.compatibility_results as staged where staged.id = live.id)
union all
select
    'subscriptions' as table_name,
    live.id
from input.live_subscriptions as live
where not exists (select from staging.subscriptions as staged where staged.id = live.id)
union all
select
    'fcm_tokens' as table_name,
    live.id
from input.live_fcm_tokens as live
where not exists (select from staging.fcm_tokens as staged where staged.id = live.id)
union all
select
    'user_preferences' as table_name,
    live.id
from input.live_user_preferences as live
where not exists (select from staging.user_preferences as staged where staged.id = live.id)
union all
select
    'activity_log' as table_name,
    live.id
from input.live_activity_log as live
where not exists (select from staging.activity_log as staged where staged.id = live.id)

-- Actions logged in the last hour, but those of the launch itself
-- at_least: 1
-- failure_limit: 12
select count(*)
from public.activity_log as a
where a.created_at > clock_timestamp() - interval '1 hour' and a.action <> 'account_migrated'

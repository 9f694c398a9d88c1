-- Accounts with a profile
-- at_least: 1.0 of baseline
select count(*)
from public.unified_profiles

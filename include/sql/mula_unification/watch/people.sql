-- People
-- at_least: 1.0 of baseline
select count(*)
from public.users

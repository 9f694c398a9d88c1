-- Closes the circle: profiles were loaded before affiliates, who need them.
update staging.unified_profiles as profile
set affiliate_id = affiliate.id
from staging.affiliates as affiliate
where profile.id = affiliate.user_id

-- What was approved: the profiles that are staged; production's own may be fewer or more
select count(*)
from staging.unified_profiles

-- What was approved: the people who are staged, whether or not this is the first launch
select count(*)
from staging.users

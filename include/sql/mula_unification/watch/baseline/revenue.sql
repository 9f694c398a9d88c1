-- What was approved: the revenue of what is staged, which the review compares with the applications'
select coalesce(sum(s.monthly_amount), 0)
from staging.subscriptions as s
where s.status = 'active'

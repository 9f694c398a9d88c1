-- People who have an account and never bought, but for test accounts.
select profile.id
from unified_profiles as profile
where
    profile.email like 'old.student%@example.ph'
    and not exists (select from enrollments as enrolment where enrolment.user_id = profile.id)
order by profile.id

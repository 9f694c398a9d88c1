-- Accounts in production that no source knows as a customer: they stay, without a profile in the new tables.
select
    u.id,
    u.email,
    u.created_at,
    p.id is not null as has_profile_now,
    count(e.id) as enrolments_now
from input.auth_users as u
left join input.person_account as known on u.id = known.account_id
left join input.unified_profiles as p on u.id = p.id
left join input.enrollments as e on u.id = e.user_id
where known.account_id is null
group by u.id, u.email, u.created_at, p.id
-- those that have something to lose first
order by enrolments_now desc, u.created_at asc, u.id asc

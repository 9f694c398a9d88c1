-- Test accounts, by cutover.test_account: they keep their account and lose their profile and all that hangs on it.
select
    m.account_id,
    u.email,
    m.test_account,
    m.has_profile,
    count(e.id) as enrolments
from input.member as m
inner join input.auth_users as u on m.account_id = u.id
left join input.enrollments as e on m.account_id = e.user_id
where m.test_account is not null
group by m.account_id, u.email, m.test_account, m.has_profile
order by enrolments desc, m.account_id asc

-- Members, accounts that no source knows as a customer: they keep their profile and all that hangs on it.
select
    m.account_id,
    m.has_profile,
    m.has_money,
    count(e.id) as enrolments
from input.member as m
left join input.enrollments as e on m.account_id = e.user_id
where m.test_account is null
group by m.account_id, m.has_profile, m.has_money
-- those with most to look at first
order by m.has_money desc, enrolments desc, m.account_id asc

-- Every account that no clean source knows, and what it is: a test account, or a member, who has not bought yet and
-- keeps what there is. An account with money is never a test account: commission that is owed, a payment that staff has
-- booked, or one that Xendit knows.
drop table if exists input.member;

create table input.member as
with unknown as (
    select
        u.id,
        u.email,
        p.id is not null as has_profile,
        p.admin_metadata
    from input.auth_users as u
    left join input.unified_profiles as p on u.id = p.id
    where not exists (select from input.person_account as known where known.account_id = u.id)
),

with_money as (
    select user_id
    from input.affiliates
    where total_earned <> 0
    union
    select c.user_id
    from input.transactions as c
    left join input.xendit_invoices as i on c.xendit_invoice_id = i.id
    left join input.xendit_transactions as t on c.xendit_transaction_id = t.id
    where
        c.transaction_type = 'manual'
        or i.status in ('PAID', 'SETTLED')
        or t.id is not null
)

select
    unknown.id as account_id,
    unknown.has_profile,
    with_money.user_id is not null as has_money,
    case when with_money.user_id is null then test.name end as test_account
from unknown
left join with_money on unknown.id = with_money.user_id
left join lateral (
    select t.name
    from input.test_account as t
    where
        (t.address_pattern is null or unknown.email ilike t.address_pattern)
        and (t.flag is null or unknown.admin_metadata @> t.flag)
    order by t.name
    limit 1
) as test on true;

alter table input.member add primary key (account_id);
analyze input.member;

-- Enrolments that stay as they are. Of a person's several for one product outside the catalogue, the first account's.
drop table if exists input.kept_enrolment;

create table input.kept_enrolment as
select
    e.id,
    e.enrollment_no,
    e.user_id,
    e.course_id,
    e.transaction_id,
    e.product_type,
    e.status,
    e.enrolled_at,
    e.expires_at,
    e.last_accessed_at,
    e.metadata
from input.enrollments as e
inner join input.member as m on e.user_id = m.account_id
where
    m.test_account is null
    and m.has_profile
union all
(
    select distinct on (account.person_id, e.product_type)
        e.id,
        e.enrollment_no,
        account.person_id as user_id,
        e.course_id,
        e.transaction_id,
        e.product_type,
        e.status,
        e.enrolled_at,
        e.expires_at,
        e.last_accessed_at,
        e.metadata
    from input.enrollments as e
    inner join input.person_account as account on e.user_id = account.account_id
    where not exists (select from input.product as product where product.product_type = e.product_type)
    order by account.person_id asc, e.product_type asc, account.place asc
);

alter table input.kept_enrolment add primary key (id);
analyze input.kept_enrolment;

-- Views over the tables that a launch replaces, and a materialized one.
set local role app_owner;
set local search_path = public;

create view customer_overview as
select
    profile.id,
    profile.email,
    profile.full_name,
    count(distinct payment.id) as payments,
    coalesce(sum(payment.amount), 0) as paid,
    max(payment.paid_at) as last_paid_at
from unified_profiles as profile
left join transactions as payment on profile.id = payment.user_id
group by profile.id;
comment on view customer_overview is 'The staff''s list of customers';
comment on column customer_overview.paid is 'All payments, refunded ones included';

-- A view on a view.
create view top_customers with (security_barrier = true) as
select
    id,
    full_name,
    paid
from customer_overview
where paid >= 1000;

-- Checked as the reader, not as the owner: without this option it would show every row to everybody.
create view my_transactions with (security_invoker = true) as
select
    id,
    receipt_no,
    product_type,
    amount,
    currency,
    status,
    paid_at
from transactions;

create view my_profile with (security_invoker = true) as
select
    id,
    first_name,
    last_name,
    full_name,
    phone
from unified_profiles
where id = auth.uid()
with local check option;

create view course_completion as
select
    enrollment.id as enrollment_id,
    enrollment.user_id,
    enrollment.course_id,
    count(progress.lesson_id) filter (where progress.completed_at is not null) as lessons_done
from enrollments as enrollment
left join lesson_progress as progress on enrollment.id = progress.enrollment_id
group by enrollment.id;

create view affiliate_leaderboard with (security_invoker = true) as
select
    affiliate.id,
    profile.full_name,
    affiliate.total_earned,
    display_name(profile) as shown_as
from affiliates as affiliate
inner join unified_profiles as profile on affiliate.user_id = profile.id
where affiliate.status = 'active';

create materialized view monthly_revenue as
select
    date_trunc('month', paid_at at time zone 'Asia/Manila')::date as month,
    coalesce(product_type, 'unknown') as product_type,
    count(*) as payments,
    sum(amount - refunded_amount) as revenue
from transactions
where paid_at is not null
group by date_trunc('month', paid_at at time zone 'Asia/Manila')::date, coalesce(product_type, 'unknown');
create unique index monthly_revenue_key on monthly_revenue (month, product_type);
create index monthly_revenue_product_type_idx on monthly_revenue (product_type);
comment on materialized view monthly_revenue is 'Refreshed every night';

reset role;
reset search_path;

-- People, their affiliates and orders, and outside rows that point at them. %(people)s people, two orders each.
insert into public.courses select
    n,
    'course ' || n
from generate_series(1, 5) as n;
insert into public.levels select
    n,
    'level ' || n
from generate_series(1, 3) as n;
insert into auth.users (id, email)
select
    md5('u' || n)::uuid,
    'person' || n || '@example.com'
from generate_series(1, {people}) as n;
insert into public.profiles (id, email, name, level_id)
select
    md5('u' || n)::uuid,
    'person' || n || '@example.com',
    'Person ' || n,
    1 + n % 3
from generate_series(1, {people}) as n;
insert into public.affiliates (user_id, earned, code)
select
    md5('u' || n)::uuid,
    n,
    'code' || n
from generate_series(1, {people}, 20) as n;
update public.profiles as p set affiliate_id = a.id from public.affiliates as a where a.user_id = p.id;
insert into public.orders (id, user_id, profile_id, course_id, amount, created_at)
select
    md5('o' || n)::uuid,
    md5('u' || (1 + n % {people}))::uuid,
    md5('u' || (1 + n % {people}))::uuid,
    1 + n % 5,
    10 + n % 90,
    timestamptz '2025-01-01' + (n % 300) * interval '1 day'
from generate_series(1, 2 * {people}) as n;
insert into public.refunds select
    n,
    md5('o' || n)::uuid,
    'because'
from generate_series(1, {people}, 10) as n;
insert into public.commissions select
    n,
    a.id,
    md5('o' || n)::uuid
from (
    select
        id,
        row_number() over (order by id) as n
    from public.affiliates
) as a;
insert into public.events
select
    n,
    md5('u' || (1 + n % {people}))::uuid,
    date '2025-06-01'
from generate_series(1, {people}) as n;
refresh materialized view public.revenue;
refresh materialized view public.best;
refresh materialized view public.people;
analyze;

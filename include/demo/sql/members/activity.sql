-- Members who use the application for years without ever buying from the sources: rows of theirs in every table that
-- refers to people, enrolments, affiliates or transactions, some twenty to a person. Made before the triggers are.
set local role app_owner;
set local search_path = public;

create temporary table member on commit drop as
select
    id,
    created_at,
    row_number() over (order by created_at, id) as n,
    lag(id, 1, id) over (order by created_at, id) as friend
from unified_profiles
where email like 'old.student%@example.ph';
alter table member add primary key (id);
analyze member;

-- what they use: made once, whoever uses it
insert into live_sessions (course_id, starts_at, title)
select
    id,
    '2024-03-02 12:00+00' as starts_at,
    'Ask me anything' as title
from courses;
insert into announcements (title) values ('New lessons every month');
insert into email_templates (name, subject) values ('digest', 'What is new');
insert into email_campaigns (template_id, name)
select
    id,
    'Digest' as name
from email_templates;
insert into quizzes (lesson_id, title) values (1, 'Warm-up');
insert into quiz_questions (quiz_id, position, question)
select
    id,
    1 as position,
    'Who buys handmade paper?' as question
from quizzes;
insert into assignments (lesson_id, title) values (2, 'Your first page');
insert into payouts (bank_reference, amount) values ('BPI-1', 1000);

insert into events (profile_id, kind, at, details)
select
    member.id,
    (array['login', 'video', 'search'])[1 + visit % 3] as kind,
    member.created_at + visit * interval '11 days' as at,
    '{"device": "phone"}'::jsonb as details
from member
cross join generate_series(1, 7) as visit;
insert into notifications (profile_id, title, created_at)
select
    member.id,
    'Somebody has answered you' as title,
    member.created_at + answer * interval '20 days' as created_at
from member
cross join generate_series(1, 2) as answer;
insert into live_session_attendees (session_id, profile_id)
select
    session.id,
    member.id as profile_id
from member
cross join live_sessions as session
where member.n % 4 = 0;
insert into announcement_reads (announcement_id, profile_id)
select
    announcement.id,
    member.id as profile_id
from member
cross join announcements as announcement;
insert into email_sends (campaign_id, profile_id)
select
    campaign.id,
    member.id as profile_id
from member
cross join email_campaigns as campaign;
insert into profile_notes (profile_id, author_id, body)
select
    id,
    friend,
    'asked for a discount' as body
from member
where n % 5 = 0;
insert into api_keys (profile_id, key_hash)
select
    id,
    md5(id::text) as key_hash
from member
where n % 20 = 0;
insert into carts (profile_id)
select id from member
where n % 3 = 0;
insert into cart_items (cart_id, product_id)
select
    cart.id,
    1 as product_id
from carts as cart
inner join member on cart.profile_id = member.id;
insert into orders (profile_id)
select id from member
where n % 8 = 0;
insert into subscriptions (profile_id, membership_level_id)
select
    id,
    '10000000-0000-4000-8000-000000000001' as membership_level_id
from member
where n % 2 = 0;
insert into subscription_events (subscription_id, kind)
select
    subscription.id,
    'renewed' as kind
from subscriptions as subscription
inner join member on subscription.profile_id = member.id;
insert into gift_codes (code, product_id, redeemed_by)
select
    'G-' || n as code,
    2 as product_id,
    id
from member
where n % 50 = 0;
insert into instructors (profile_id, name)
select
    id,
    'Guest ' || n as name
from member
where n % 500 = 0 or n = 1;
insert into feature_flags (name, changed_by)
select
    'beta_' || n as name,
    id
from member
where n % 500 = 0 or n = 1;

insert into forum_threads (category_id, author_id, title)
select
    1 as category_id,
    id,
    'Hello from ' || n as title
from member
where n % 2 = 0;
insert into forum_posts (thread_id, author_id, body)
select
    thread.id,
    member.friend as author_id,
    'Welcome!' as body
from forum_threads as thread
inner join member on thread.author_id = member.id;
insert into forum_likes (post_id, profile_id)
select
    post.id,
    thread.author_id as profile_id
from forum_posts as post
inner join forum_threads as thread on post.thread_id = thread.id
inner join member on thread.author_id = member.id;
insert into support_messages (ticket_id, author_id, body)
select
    ticket.id,
    member.id as author_id,
    'Any news?' as body
from support_tickets as ticket
inner join member on ticket.profile_id = member.id;
insert into lesson_comments (lesson_id, author_id, body)
select
    1 + n % 24 as lesson_id,
    id,
    'Thank you' as body
from member
where n % 3 = 0;
insert into file_uploads (owner_id, path, bytes)
select
    id,
    'avatars/' || id as path,
    4096 as bytes
from member
where n % 10 = 0;

-- a free webinar, which is no product of the sources, and what they did in it
insert into enrollments (user_id, product_type, enrolled_at)
select
    id,
    'webinar' as product_type,
    created_at + interval '2 days' as enrolled_at
from member
where n % 3 = 1;
create temporary table attended on commit drop as
select
    enrolment.id,
    member.n
from enrollments as enrolment
inner join member on enrolment.user_id = member.id;
insert into lesson_progress (enrollment_id, lesson_id, watched_seconds)
select
    attended.id,
    lesson,
    60 * lesson as watched_seconds
from attended
cross join generate_series(1, 2) as lesson;
insert into quiz_attempts (quiz_id, enrollment_id, score)
select
    quiz.id,
    attended.id as enrollment_id,
    attended.n % 101 as score
from attended
cross join quizzes as quiz;
insert into quiz_answers (attempt_id, question_id)
select
    attempt.id,
    question.id as question_id
from quiz_attempts as attempt
inner join quiz_questions as question on attempt.quiz_id = question.quiz_id;
insert into assignment_submissions (assignment_id, enrollment_id, url)
select
    assignment.id,
    attended.id as enrollment_id,
    'https://learn.example.com/pages/' || attended.n as url
from attended
cross join assignments as assignment;
insert into certificates (enrollment_id, serial_no)
select
    id,
    'W-' || n as serial_no
from attended
where n % 9 = 1;

-- they recommend others, and are owed for it
insert into affiliates (user_id, status, total_earned)
select
    id,
    'active' as status,
    n as total_earned
from member
where n % 25 = 2;
update unified_profiles as profile set affiliate_id = affiliate.id
from affiliates as affiliate
inner join member on affiliate.user_id = member.id
where profile.id = affiliate.user_id;
create temporary table recommends on commit drop as
select
    affiliate.id,
    member.n
from affiliates as affiliate
inner join member on affiliate.user_id = member.id;
insert into affiliate_links (affiliate_id, code, target_url)
select
    id,
    'member-' || n as code,
    'https://learn.example.com/' as target_url
from recommends;
insert into affiliate_clicks (link_id)
select link.id
from affiliate_links as link
inner join recommends on link.affiliate_id = recommends.id;
insert into affiliate_payouts (affiliate_id, amount)
select
    id,
    10 as amount
from recommends;

-- what they paid at a fair, booked by hand, and what hangs on it
insert into transactions (user_id, contact_email, transaction_type, amount, status, payment_method, created_at)
select
    member.id,
    profile.email as contact_email,
    'manual' as transaction_type,
    250 as amount,
    'paid' as status,
    'CASH' as payment_method,
    member.created_at + interval '30 days' as created_at
from member
inner join unified_profiles as profile on member.id = profile.id
where member.n % 30 = 4;
create temporary table booked on commit drop as
select
    payment.id,
    row_number() over (order by member.n) as n
from transactions as payment
inner join member on payment.user_id = member.id;
insert into orders (profile_id, transaction_id)
select
    payment.user_id as profile_id,
    payment.id as transaction_id
from transactions as payment
inner join booked on payment.id = booked.id;
insert into commissions (affiliate_id, transaction_id, amount)
select
    recommends.id as affiliate_id,
    booked.id as transaction_id,
    recommends.n as amount
from recommends
left join booked on recommends.n = 25 * booked.n - 23;
insert into payout_items (payout_id, commission_id)
select
    payout.id,
    commission.id as commission_id
from commissions as commission
inner join recommends on commission.affiliate_id = recommends.id
cross join payouts as payout;
insert into coupons values ('FAIR', 10, null);
insert into coupon_redemptions (code, transaction_id)
select
    'FAIR' as code,
    id
from booked;
insert into refunds (transaction_id, amount)
select
    id,
    25 as amount
from booked
where n % 5 = 1;
insert into disputes (transaction_id)
select id from booked
where n % 7 = 1;

drop table member, attended, recommends, booked;
reset role;
reset search_path;

-- Rows of the tables that no person owns.
set local role app_owner;
set local search_path = public;

insert into membership_levels (id, name, rank, monthly_price) values
('10000000-0000-4000-8000-000000000001', 'Free', 0, 0),
('10000000-0000-4000-8000-000000000002', 'Student', 1, 0),
('10000000-0000-4000-8000-000000000003', 'Mastermind', 2, 499.50);

insert into courses (id, slug, title, product_type, price) values
('c0000000-0000-4000-8000-000000000001', 'papers-to-profits', 'Papers to Profits', 'p2p_course', 1000),
('c0000000-0000-4000-8000-000000000002', 'canva-ebook', 'Canva Ebook', 'canva_ebook', 1000);

insert into course_modules (course_id, position, title)
select
    'c0000000-0000-4000-8000-000000000001' as course_id,
    module,
    'Module ' || module as title
from generate_series(1, 4) as module;

insert into lessons (id, module_id, position, title)
select
    6 * (module.position - 1) + lesson as id,
    module.id as module_id,
    lesson,
    format('Lesson %s.%s', module.position, lesson) as title
from course_modules as module
cross join generate_series(1, 6) as lesson;
select setval('lessons_id_seq', 24);

insert into instructors (name) values ('Liza Santos');
insert into course_instructors (course_id, instructor_id)
select
    id,
    1 as instructor_id
from courses;
insert into course_categories (name) values ('Business'), ('Design');
insert into products (product_type, name) values ('p2p_course', 'Papers to Profits'), ('canva_ebook', 'Canva Ebook');
insert into product_prices (product_id, amount, valid_from) values (1, 1000, '2023-10-01'), (2, 1000, '2023-10-01');
insert into coupons values ('EARLYBIRD', 20, '2024-01-01'), ('MANUAL', 20, null);
insert into payment_methods (code, label) values ('EWALLET', 'GCash, Maya, GrabPay'), ('CREDIT_CARD', 'Card');
insert into tax_rates values ('PH', 12);
insert into tags (name) values ('PaidP2P'), ('Canva'), ('Affiliate'), ('FBInviteSent');
insert into support_tags values ('billing', 'red'), ('access', 'blue');
insert into forum_categories (name) values ('Introductions'), ('Wins');
insert into funnels (name) values ('Free webinar');
insert into funnel_steps (funnel_id, position, name) values (1, 1, 'Landing'), (1, 2, 'Webinar'), (1, 3, 'Checkout');
insert into app_settings values ('site_name', '"Learn Example"'), ('maintenance', 'false');
insert into feature_flags (name, is_on) values ('new_player', true), ('canva_store', false);

reset role;
reset search_path;

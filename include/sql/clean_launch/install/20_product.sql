-- What is sold: data, not code. A new product is a new row; rows are never overwritten from here, so that what an
-- operator has changed stays. A run freezes this table like any source: a change counts from the next run on.
create table if not exists cutover.product (
    product_type text primary key,
    -- the first product, by priority, whose pattern the invoice's description matches, wins
    priority integer not null unique,
    -- an ilike pattern
    description_pattern text not null,
    -- the Systeme.io tag that says "this person has bought it"; compared exactly
    tag text not null unique,
    -- what a tagged person paid by hand when no invoice is known; null: then there is an enrolment and no payment
    manual_price numeric(12, 2),
    currency text not null default 'PHP',
    -- public.courses.id; null: the product is not a course of the platform
    course_id uuid,
    constraint product_type_is_a_name check (product_type ~ '^[a-z][a-z0-9_]*$' and product_type <> 'unattributed')
);

insert into cutover.product (product_type, priority, description_pattern, tag, manual_price, course_id)
select
    known.product_type,
    known.priority,
    known.description_pattern,
    known.tag,
    known.manual_price,
    -- a course made or renamed later is entered by hand
    course.id as course_id
from (
    values
    ('p2p_course', 10, '%papers to profits%', 'PaidP2P', 800.00),
    ('canva_ebook', 20, '%canva%', 'Canva', null)
) as known (product_type, priority, description_pattern, tag, manual_price)
left join public.courses as course on known.product_type = course.product_type
on conflict do nothing;

-- There is an enrolment for exactly the products that a customer has bought, or has the tag of; others stay as they
-- are.
with entitled as (
    select
        user_id,
        product_type
    from staging.transactions as t
    where
        product_type in (select product.product_type from input.product as product)
        and exists (select from staging.users as u where u.id = t.user_id)
    union
    select
        p.id as user_id,
        product.product_type
    from staging.unified_profiles as p
    inner join input.product as product on product.tag = any(p.tags)
    -- a member's tags are what production says
    where exists (select from staging.users as u where u.id = p.id)
),

judged as (
    select e.*
    from staging.enrollments as e
    where not exists (select from input.kept_enrolment as kept where kept.id = e.id)
)

select
    coalesce(entitled.user_id, e.user_id) as user_id,
    coalesce(entitled.product_type, e.product_type) as product_type,
    entitled.user_id is not null as is_entitled,
    e.id as enrollment_id
from entitled
full join judged as e on entitled.user_id = e.user_id and entitled.product_type = e.product_type
where
    entitled.user_id is null
    or e.user_id is null

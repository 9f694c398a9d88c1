-- There is an enrolment for exactly the products that a customer has bought, or has the tag of.
with entitled as (
    select
        user_id,
        product_type
    from staging.transactions
    where product_type <> 'unattributed'
    union
    select
        p.id as user_id,
        product.product_type
    from staging.unified_profiles as p
    inner join input.product as product on product.tag = any(p.tags)
)

select
    coalesce(entitled.user_id, e.user_id) as user_id,
    coalesce(entitled.product_type, e.product_type) as product_type,
    entitled.user_id is not null as is_entitled,
    e.id as enrollment_id
from entitled
full join staging.enrollments as e on entitled.user_id = e.user_id and entitled.product_type = e.product_type
where
    entitled.user_id is null
    or e.user_id is null

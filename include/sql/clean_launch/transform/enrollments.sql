-- One enrolment per customer and attributed product: from its transactions, or from the tag alone. As they are:
-- those of members, and of customers for products outside the catalogue.
with
bought as (
    select
        user_id,
        product_type,
        (array_agg(id order by coalesce(paid_at, created_at), id))[1] as transaction_id,
        min(coalesce(paid_at, created_at)) as enrolled_at,
        bool_and(status in ('refunded', 'charged_back')) as all_returned
    from staging.transactions as t
    where
        product_type in (select product.product_type from input.product as product)
        -- what a member has is not judged by payments
        and exists (select from input.person as person where person.id = t.user_id)
    group by user_id, product_type
),

tagged as (
    select
        person.id as user_id,
        product.product_type,
        coalesce(customer.registered_at, customer.first_seen_at) as enrolled_at
    from input.customer as customer
    inner join input.person as person on customer.email_key = person.email_key
    inner join input.product as product on product.tag = any(customer.tags)
),

enrolment as (
    select
        coalesce(bought.user_id, tagged.user_id) as user_id,
        coalesce(bought.product_type, tagged.product_type) as product_type,
        bought.transaction_id,
        coalesce(bought.enrolled_at, tagged.enrolled_at) as enrolled_at,
        case when bought.all_returned then 'revoked' else 'active' end as status
    from bought
    full join tagged on bought.user_id = tagged.user_id and bought.product_type = tagged.product_type
),

-- the person's current row for the product, whichever of the person's accounts it hangs on
continued as (
    select distinct on (account.person_id, current_row.product_type)
        account.person_id,
        current_row.*
    from input.person_account as account
    inner join input.enrollments as current_row on account.account_id = current_row.user_id
    order by account.person_id asc, current_row.product_type asc, account.place asc
),

identified as (
    select
        enrolment.*,
        continued.id is null as is_new,
        coalesce(
            continued.id,
            md5('clean_launch/enrollments/' || enrolment.user_id || '/' || enrolment.product_type)::uuid
        ) as id,
        continued.enrollment_no,
        continued.expires_at,
        continued.last_accessed_at,
        continued.metadata
    from enrolment
    left join continued
        on
            enrolment.user_id = continued.person_id
            and enrolment.product_type = continued.product_type
),

reserved as (
    select
        row_id,
        number
    from cutover.reserved_number
    where table_name = 'enrollments'
),

drawn as (
    insert into cutover.reserved_number (table_name, row_id, number)
    select
        'enrollments' as table_name,
        unnumbered.id as row_id,
        nextval(pg_get_serial_sequence('public.enrollments', 'enrollment_no')) as number
    from (
        select identified.id
        from identified
        where
            identified.is_new
            and not exists (select from reserved where reserved.row_id = identified.id)
        order by identified.enrolled_at asc, identified.id asc
    ) as unnumbered
    returning row_id, number
),

numbered as (
    select * from reserved
    union all
    select * from drawn
)

insert into staging.enrollments (
    id,
    enrollment_no,
    user_id,
    course_id,
    transaction_id,
    product_type,
    status,
    enrolled_at,
    expires_at,
    last_accessed_at,
    metadata
)
select
    identified.id,
    coalesce(identified.enrollment_no, numbered.number) as enrollment_no,
    identified.user_id,
    product.course_id,
    identified.transaction_id,
    identified.product_type,
    identified.status,
    identified.enrolled_at,
    identified.expires_at,
    identified.last_accessed_at,
    coalesce(identified.metadata, '{}') as metadata
from identified
inner join input.product as product on identified.product_type = product.product_type
left join numbered on identified.id = numbered.row_id
union all
select
    kept.id,
    kept.enrollment_no,
    kept.user_id,
    kept.course_id,
    t.id as transaction_id,
    kept.product_type,
    kept.status,
    kept.enrolled_at,
    kept.expires_at,
    kept.last_accessed_at,
    kept.metadata
from input.kept_enrolment as kept
left join staging.transactions as t on kept.transaction_id = t.id

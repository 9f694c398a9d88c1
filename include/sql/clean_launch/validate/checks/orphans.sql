-- No staged row refers to a row that is not there, in the new tables or in those that stay.
select
    'unified_profiles.id' as reference,
    p.id as row_id,
    p.id::text as refers_to
from staging.unified_profiles as p
where
    not exists (select from staging.users as u where u.id = p.id)
    -- a member's account is not staged
    and not exists (select from auth.users as u where u.id = p.id)
union all
select
    'unified_profiles.membership_level_id' as reference,
    p.id as row_id,
    p.membership_level_id::text as refers_to
from staging.unified_profiles as p
where
    p.membership_level_id is not null
    and not exists (select from public.membership_levels as m where m.id = p.membership_level_id)
union all
select
    'unified_profiles.affiliate_id' as reference,
    p.id as row_id,
    p.affiliate_id::text as refers_to
from staging.unified_profiles as p
where
    p.affiliate_id is not null
    and not exists (select from staging.affiliates as a where a.id = p.affiliate_id and a.user_id = p.id)
union all
select
    'transactions.user_id' as reference,
    t.id as row_id,
    t.user_id::text as refers_to
from staging.transactions as t
where
    not exists (select from staging.users as u where u.id = t.user_id)
    -- a member's account is not staged
    and not exists (select from auth.users as u where u.id = t.user_id)
union all
select
    'enrollments.user_id' as reference,
    e.id as row_id,
    e.user_id::text as refers_to
from staging.enrollments as e
where not exists (select from staging.unified_profiles as p where p.id = e.user_id)
union all
select
    'enrollments.transaction_id' as reference,
    e.id as row_id,
    e.transaction_id::text as refers_to
from staging.enrollments as e
where
    e.transaction_id is not null
    and not exists (select from input.kept_enrolment as kept where kept.id = e.id)
    and not exists (
        select
        from staging.transactions as t
        where t.id = e.transaction_id and t.user_id = e.user_id and t.product_type = e.product_type
    )
union all
select
    'enrollments.course_id' as reference,
    e.id as row_id,
    e.course_id::text as refers_to
from staging.enrollments as e
where
    e.course_id is not null
    and not exists (select from public.courses as c where c.id = e.course_id)
union all
select
    'affiliates.user_id' as reference,
    a.id as row_id,
    a.user_id::text as refers_to
from staging.affiliates as a
where not exists (select from staging.unified_profiles as p where p.id = a.user_id and p.affiliate_id = a.id)
union all
select
    'leads.user_id' as reference,
    lead.id as row_id,
    lead.user_id::text as refers_to
from staging.leads as lead
where
    lead.user_id is not null
    and not exists (select from staging.unified_profiles as p where p.id = lead.user_id and p.email = lead.email)

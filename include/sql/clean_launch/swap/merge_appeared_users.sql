-- A customer who has made an account since the freeze keeps it: the staged rows get its id instead of the derived one.
-- One statement, so that the foreign keys among the staging tables are looked at when all of them are changed.
with
appeared as (
    select distinct on (staged.id)
        staged.id as staged_id,
        u.id as actual_id
    from staging.users as staged
    inner join auth.users as u on staged.email = cutover.email_key(u.email)
    where
        staged.is_new
        and u.id <> staged.id
    order by
        staged.id asc,
        (u.deleted_at is null) desc,
        (u.email_confirmed_at is not null) desc,
        u.created_at asc nulls last,
        u.id asc
),

renamed_users as (
    update staging.users as row_
    set id = appeared.actual_id, is_new = false
    from appeared
    where row_.id = appeared.staged_id
),

renamed_profiles as (
    update staging.unified_profiles as row_
    set id = appeared.actual_id
    from appeared
    where row_.id = appeared.staged_id
),

renamed_transactions as (
    update staging.transactions as row_
    set user_id = appeared.actual_id
    from appeared
    where row_.user_id = appeared.staged_id
),

renamed_enrollments as (
    update staging.enrollments as row_
    set user_id = appeared.actual_id
    from appeared
    where row_.user_id = appeared.staged_id
),

renamed_affiliates as (
    update staging.affiliates as row_
    set user_id = appeared.actual_id
    from appeared
    where row_.user_id = appeared.staged_id
)

update staging.leads as row_
set user_id = appeared.actual_id
from appeared
where row_.user_id = appeared.staged_id

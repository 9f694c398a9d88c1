-- Which row of a person's further accounts goes on as which row of the account that was chosen: rows outside the set
-- that refer to the one refer to the other after the swap.
with
enrolment as (
    select
        e.id,
        first_value(e.id) over (
            partition by account.person_id, e.product_type
            order by account.place asc
        ) as continues_as
    from input.person_account as account
    inner join input.enrollments as e on account.account_id = e.user_id
),

affiliate as (
    select
        a.id,
        first_value(a.id) over (partition by account.person_id order by account.place asc) as continues_as
    from input.person_account as account
    inner join input.affiliates as a on account.account_id = a.user_id
),

moved as (
    select
        'unified_profiles' as table_name,
        account_id::text as old_key,
        person_id::text as new_key
    from input.person_account
    where account_id <> person_id
    union all
    select
        'enrollments' as table_name,
        id::text as old_key,
        continues_as::text as new_key
    from enrolment
    where id <> continues_as
    union all
    select
        'affiliates' as table_name,
        id::text as old_key,
        continues_as::text as new_key
    from affiliate
    where id <> continues_as
),

-- a new try of the same run replaces its own rows
stale as (
    delete from cutover.moved_row as kept
    where
        kept.run = %(run)s
        and not exists (
            select
            from moved
            where moved.table_name = kept.table_name and moved.old_key = kept.old_key
        )
)

insert into cutover.moved_row (run, table_name, old_key, new_key)
select
    %(run)s as run,
    table_name,
    old_key,
    new_key
from moved
on conflict (run, table_name, old_key) do update set new_key = excluded.new_key

-- Customers with the tag, and current affiliates who are customers or members. What they have earned is owed to
-- them: where one person has several accounts with an affiliate row, the first row continues and the sums are added
-- up.
insert into staging.affiliates (id, user_id, status, commission_rate, total_earned, created_at, updated_at)
with
earned as (
    select
        account.person_id,
        (array_agg(a.id order by account.place))[1] as id,
        (array_agg(a.status order by account.place))[1] as status,
        (array_agg(a.commission_rate order by account.place))[1] as commission_rate,
        sum(a.total_earned) as total_earned,
        (array_agg(a.created_at order by account.place))[1] as created_at,
        (array_agg(a.updated_at order by account.place))[1] as updated_at
    from input.person_account as account
    inner join input.affiliates as a on account.account_id = a.user_id
    group by account.person_id
)

select
    coalesce(earned.id, md5('clean_launch/affiliates/' || person.id)::uuid) as id,
    person.id as user_id,
    coalesce(earned.status, 'pending') as status,
    case when earned.id is null then 0.3 else earned.commission_rate end as commission_rate,
    case when earned.id is null then 0 else earned.total_earned end as total_earned,
    case when earned.id is null then customer.registered_at else earned.created_at end as created_at,
    case when earned.id is null then customer.registered_at else earned.updated_at end as updated_at
from input.person as person
inner join input.customer as customer on person.email_key = customer.email_key
left join earned on person.id = earned.person_id
where
    'Affiliate' = any(customer.tags)
    or earned.id is not null
union all
select
    a.id,
    a.user_id,
    a.status,
    a.commission_rate,
    a.total_earned,
    a.created_at,
    a.updated_at
from input.affiliates as a
inner join input.member as m on a.user_id = m.account_id
where
    m.test_account is null
    and m.has_profile

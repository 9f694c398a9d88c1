-- Every customer has one account and one profile, with the same id and e-mail, and beside them only members have one.
select
    customer.email_key is not null as is_customer,
    u.id as user_id,
    p.id as profile_id
from input.customer as customer
full join staging.users as u on customer.email_key = u.email
full join staging.unified_profiles as p on u.id = p.id
left join input.member as m on p.id = m.account_id and m.test_account is null
where
    m.account_id is null
    and (
        customer.email_key is null
        or u.id is null
        or p.id is null
        or u.email <> p.email
    )

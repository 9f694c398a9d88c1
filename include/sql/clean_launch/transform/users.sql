-- One account per customer. An account that exists is only named here: the merge adds the new ones and changes none.
insert into staging.users (id, email, is_new, created_at, user_metadata)
select
    person.id,
    person.email_key as email,
    person.found = 'new' as is_new,
    coalesce(account.created_at, customer.first_seen_at) as created_at,
    jsonb_strip_nulls(
        jsonb_build_object('first_name', customer.first_name, 'last_name', customer.last_name)
    ) as user_metadata
from input.person as person
inner join input.customer as customer on person.email_key = customer.email_key
left join input.auth_users as account on person.id = account.id

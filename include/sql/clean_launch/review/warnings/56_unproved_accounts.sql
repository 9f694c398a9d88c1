-- Customers' accounts whose address was never confirmed: the swap ends their sessions and passwords.
select
    u.id as account_id,
    u.created_at,
    u.last_sign_in_at,
    case %(unconfirmed)s
        when 'void' then 'made void: the first sign-in is by a link to the address'
        when 'warn' then 'left as it is'
        else 'stops the launch'
    end as what
from auth.users as u
where u.id in (select cutover.unproved_accounts())
order by u.last_sign_in_at desc nulls last, u.id asc

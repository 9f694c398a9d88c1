-- What was joined into a person, and why.
select
    a.*,
    a.identity_id = %(identity_id)s as is_this_session,
    a.holder = %(holder)s as is_held,
    c.identity_id is not null as has_password
from platform.accounts_of(%(user_id)s) as a
left join platform.credential as c on a.identity_id = c.identity_id
order by is_this_session desc, a.created_at asc nulls last, a.identity_id asc;

-- Customers' accounts whose address was never confirmed, and `unconfirmed: refuse` lets none of them be.
select id
from (
    select u.id
    from cutover.unproved_accounts() as u (id)
    union
    -- the accounts of those who have signed up since the freeze
    select appeared.id
    from (
        select distinct on (staged.id)
            u.id,
            u.email_confirmed_at
        from staging.users as staged
        inner join auth.users as u on staged.email = cutover.email_key(u.email)
        where staged.is_new
        order by
            staged.id asc,
            (u.deleted_at is null) desc,
            (u.email_confirmed_at is not null) desc,
            u.created_at asc nulls last,
            u.id asc
    ) as appeared
    where appeared.email_confirmed_at is null
) as unproved
where %(unconfirmed)s = 'refuse'
order by id

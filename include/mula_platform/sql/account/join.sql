-- Puts an account, and what was joined with it before, into the hands of `holder`.
insert into platform.holding (identity_id, holder, joined_by)
select
    a.identity_id,
    %(holder)s,
    %(joined_by)s
from platform.accounts_of(%(user_id)s) as a
where
    a.holder <> %(holder)s
    and a.holder = (
        select chosen.holder
        from platform.accounts_of(%(user_id)s) as chosen
        where chosen.identity_id = %(identity_id)s
    )
on conflict (identity_id) do update
    set
        holder = excluded.holder,
        joined_by = excluded.joined_by,
        joined_at = now()
returning identity_id;

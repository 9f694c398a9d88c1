-- What the person did last; what names an account is for whoever holds it.
select
    l.action,
    l.metadata ->> 'source' as source,
    l.created_at
from public.activity_log as l
where
    l.user_id = %(user_id)s
    and (
        cardinality(%(hidden)s::uuid[]) = 0
        or exists (
            select
            from platform.accounts_of(%(user_id)s) as a
            where
                a.source = l.metadata ->> 'source'
                and a.legacy_user_id = l.metadata ->> 'legacy_user_id'
                and a.identity_id <> all(%(hidden)s)
        )
    )
order by l.created_at desc, l.id asc
limit %(most)s;

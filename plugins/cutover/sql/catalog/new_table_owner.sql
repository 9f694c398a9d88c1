-- A new table belongs to whom the tables beside it belong to, and is closed like them: where row-level security is
-- in use it is switched on, so that no default opens the table to an API before somebody has written its policies.
(
    select
        'row security' as object,
        format('alter table %%s enable row level security', to_regclass(%(name)s)) as statement
    where exists (
            select from pg_catalog.pg_class as c
            where c.oid = any(%(outgoing)s::oid[]) and c.relrowsecurity
        )
)
union all
(
    select
        'owner',
        format('alter table %%s owner to %%I', to_regclass(%(name)s), pg_get_userbyid(c.relowner))
    from pg_catalog.pg_class as c
    where c.oid = any(%(outgoing)s::oid[])
    order by c.oid
    limit 1
)

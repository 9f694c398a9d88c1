-- What a role has passed on of its own rights can only be given again in its name.
with granted as (
    select
        c.oid::regclass::text as object,
        c.relowner as owner,
        a.grantor,
        a.grantee
    from pg_catalog.pg_class as c
    cross join lateral aclexplode(c.relacl) as a
    where c.oid = any(%(tables)s::oid[] || %(rebuilt)s::oid[])
    union
    select
        c.oid::regclass::text || '.' || quote_ident(t.attname),
        c.relowner,
        a.grantor,
        a.grantee
    from pg_catalog.pg_class as c
    join pg_catalog.pg_attribute as t on t.attrelid = c.oid and t.attnum > 0 and not t.attisdropped
    cross join lateral aclexplode(t.attacl) as a
    where c.oid = any(%(tables)s::oid[] || %(rebuilt)s::oid[])
    union
    select
        s.oid::regclass::text,
        s.relowner,
        a.grantor,
        a.grantee
    from pg_catalog.pg_depend as d
    join pg_catalog.pg_class as s on s.oid = d.objid and s.relkind = 'S'
    cross join lateral aclexplode(s.relacl) as a
    where d.classid = 'pg_catalog.pg_class'::regclass and d.deptype = 'i' and d.refobjid = any(%(tables)s::oid[])
    union
    -- one that is made anew, because a row type is in its signature, starts without grants
    select
        p.oid::regprocedure::text,
        p.proowner,
        a.grantor,
        a.grantee
    from pg_catalog.pg_proc as p
    cross join lateral aclexplode(p.proacl) as a
    where p.oid = any(%(new_functions)s::oid[])
)

select
    g.object,
    format(
        '%%I has passed a right on it on to %%s, and %%I cannot act in its name',
        pg_get_userbyid(g.grantor),
        case when g.grantee = 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end,
        current_user
    ) as why,
    format('grant %%I to %%I; or let the owner grant the right itself.', pg_get_userbyid(g.grantor), current_user)
        as remedy
from granted as g
where g.grantor <> g.owner
    and not pg_has_role(
        current_user,
        g.grantor,
        case when current_setting('server_version_num')::integer < 160000 then 'MEMBER' else 'SET' end
    )

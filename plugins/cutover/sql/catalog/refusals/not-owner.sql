-- Moving, re-creating and re-binding are the owner's rights.
with needed as (
    select
        c.oid::regclass::text as object,
        c.relowner as owner
    from pg_catalog.pg_class as c
    where c.oid = any(%(tables)s::oid[] || %(rebuilt)s::oid[] || %(relations)s::oid[])
    union all
    select
        p.oid::regprocedure::text,
        p.proowner
    from pg_catalog.pg_proc as p
    where p.oid = any(%(functions)s::oid[])
    union all
    select
        'publication ' || quote_ident(b.pubname),
        b.pubowner
    from pg_catalog.pg_publication_rel as m
    join pg_catalog.pg_publication as b on b.oid = m.prpubid
    where m.prrelid = any(%(tables)s::oid[])
    union all
    select
        'statistics ' || quote_ident(s.stxname),
        s.stxowner
    from pg_catalog.pg_statistic_ext as s
    where s.stxrelid = any(%(tables)s::oid[] || %(rebuilt)s::oid[])
)

select
    n.object,
    format('%%I is not a member of its owner %%I', current_user, pg_get_userbyid(n.owner)) as why,
    format(
        'grant %%I to %%I; -- or let a role own it that %%I is a member of', pg_get_userbyid(n.owner), current_user,
        current_user
    ) as remedy
from needed as n
where not pg_has_role(current_user, n.owner, 'MEMBER')

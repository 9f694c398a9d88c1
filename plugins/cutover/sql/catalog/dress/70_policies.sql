-- Policies. An expression may read another table of the set, so it is rendered with the production schemas in
-- the search_path (bare names) and executed with the incoming schema in front of them.
select
    quote_ident(p.polname) as object,
    format(
        'create policy %%I on %%I.%%I as %%s for %%s to %%s%%s%%s',
        p.polname, n.nspname, i.relname,
        case when p.polpermissive then 'permissive' else 'restrictive' end,
        case p.polcmd
            when '*' then 'all' when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' else 'delete'
        end,
        (
            select string_agg(case when o = 0 then 'public' else quote_ident(pg_get_userbyid(o)) end, ', ' order by o)
            from unnest(p.polroles) as o
        ),
        ' using (' || (%(rendered)s::jsonb -> p.oid::text ->> 0) || ')',
        ' with check (' || (%(rendered)s::jsonb -> p.oid::text ->> 1) || ')'
    ) as statement
from pg_catalog.pg_policy as p
join pg_catalog.pg_class as i on i.oid = %(incoming)s::oid
join pg_catalog.pg_namespace as n on n.oid = i.relnamespace
where p.polrelid = %(production)s::oid
union all
select
    quote_ident(p.polname),
    format(
        'comment on policy %%I on %%I.%%I is %%L', p.polname, n.nspname, i.relname, obj_description(p.oid, 'pg_policy')
    )
from pg_catalog.pg_policy as p
join pg_catalog.pg_class as i on i.oid = %(incoming)s::oid
join pg_catalog.pg_namespace as n on n.oid = i.relnamespace
where p.polrelid = %(production)s::oid and obj_description(p.oid, 'pg_policy') is not null

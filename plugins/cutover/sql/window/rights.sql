-- What the role that fences lacks: the object and what clears it.
select
    t.name as object,
    format('grant %%I to %%I;', pg_get_userbyid(c.relowner), current_user) as remedy
from unnest(%(tables)s::text[]) as t (name)
left join pg_catalog.pg_class as c on c.oid = to_regclass(t.name)
where not coalesce(pg_has_role(current_user, c.relowner, 'MEMBER'), false)
union all
select
    'database ' || quote_ident(current_database()) as object,
    format('grant create on database %%I to %%I;', current_database(), current_user) as remedy
where not has_database_privilege(current_database(), 'CREATE')

-- A member that does not inherit has its owner's rights only after `set role`, and the engine never does that.
select
    c.oid::regclass::text as object,
    format('%%I is a member of its owner %%I, but does not inherit from it', current_user, o.rolname) as why,
    case
        when current_setting('server_version_num')::integer >= 160000
            then format('grant %%I to %%I with inherit true;', o.rolname, current_user)
        else format('alter role %%I inherit;', current_user)
    end as remedy
from pg_catalog.pg_class as c
join pg_catalog.pg_roles as o on o.oid = c.relowner
where c.oid = any(%(tables)s::oid[] || %(relations)s::oid[])
    and pg_has_role(current_user, c.relowner, 'MEMBER') and not pg_has_role(current_user, c.relowner, 'USAGE')

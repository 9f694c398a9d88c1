-- The owner may have revoked its own rights, and with them the engine's, which is a member of it.
select
    c.oid::regclass::text as object,
    format('%%I lacks %%s on it: its owner has revoked its own rights', current_user, lacking.privileges) as why,
    format('grant %%s on %%s to %%I;', lacking.privileges, c.oid::regclass, current_user) as remedy
from pg_catalog.pg_class as c
cross join
    lateral (
        select string_agg(p.privilege, ', ' order by p.place) as privileges
        from
            unnest('{{select,insert,update,delete,references,trigger}}'::text[])
            with ordinality as p (privilege, place)
        where not has_table_privilege(c.oid, p.privilege)
    ) as lacking
where c.oid = any(%(tables)s::oid[]) and lacking.privileges is not null
    and pg_has_role(current_user, c.relowner, 'MEMBER')

-- What a dump would need and this role cannot read, with the statement that clears it.
select
    format('%%I.%%I', n.nspname, c.relname) as object,
    case
        when r.is_hidden then format('alter role %%I bypassrls;', current_user)
        else format('grant pg_read_all_data to %%I;', current_user)
    end as remedy
from pg_catalog.pg_class as c
inner join pg_catalog.pg_namespace as n on c.relnamespace = n.oid
cross join lateral (select c.relkind <> 'S' and row_security_active(c.oid) as is_hidden) as r
where
    c.relkind in ('r', 'p', 'S')
    and c.relpersistence <> 't'
    and n.nspname !~ '^pg_'
    and n.nspname <> 'information_schema'
    and not exists (
        select from pg_catalog.pg_depend as d
        where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e'
    )
    and (
        r.is_hidden
        or not has_schema_privilege(n.oid, 'USAGE')
        or not case
            when c.relkind = 'S' then has_sequence_privilege(c.oid, 'SELECT')
            else has_table_privilege(c.oid, 'SELECT')
        end
    )
order by r.is_hidden, n.nspname collate "C", c.relname collate "C"

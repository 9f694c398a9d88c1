-- The overloads that take the old row type, now in the backup schema: nothing uses them any more.
select
    f.oid::regprocedure::text as object,
    format(
        'drop %%s %%I.%%I(%%s)', case f.prokind when 'p' then 'procedure' else 'function' end, n.nspname, f.proname,
        (
            select string_agg(
                case
                    when y.oid is not null
                        then format('%%I.%%I%%s', %(backup_schema)s::text, r.relname, case when y.typcategory = 'A' then '[]' else '' end)
                    else format_type(a.type, null)
                end, ', ' order by a.position
            )
            from unnest(f.proargtypes) with ordinality as a (type, position)
            left join pg_catalog.pg_class as r
                on r.oid = any(%(outgoing)s::oid [])
                and a.type in (r.reltype, (select e.typarray from pg_catalog.pg_type as e where e.oid = r.reltype))
            left join pg_catalog.pg_type as y on y.oid = a.type and r.oid is not null
        )
    ) as statement
from pg_catalog.pg_proc as f
join pg_catalog.pg_namespace as n on n.oid = f.pronamespace
where f.oid = any(%(argument_functions)s::oid []) and f.oid <> all(%(result_functions)s::oid [])

-- The functions that take or return an old row type, which now lies in the backup schema: nothing uses them any more.
select
    'functions of an old row type' as object,
    'drop routine ' || string_agg(
        format(
            '%%I.%%I(%%s)',
            case when f.oid = any(%(result_functions)s::oid[]) then %(backup_schema)s::text else n.nspname end,
            f.proname,
            (
                select
                    string_agg(
                        case
                            when y.oid is not null
                                then format(
                                        '%%I.%%I%%s',
                                        %(backup_schema)s::text,
                                        r.relname,
                                        case when y.typcategory = 'A' then '[]' else '' end
                                    )
                            else format_type(a.type, null)
                        end, ', ' order by a.position
                    )
                from unnest(f.proargtypes) with ordinality as a (type, position)
                left join pg_catalog.pg_class as r
                    on r.oid = any(%(outgoing)s::oid[] || %(materialized_views)s::oid[])
                        and a.type in (
                            r.reltype, (select e.typarray from pg_catalog.pg_type as e where e.oid = r.reltype)
                        )
                left join pg_catalog.pg_type as y on y.oid = a.type and r.oid is not null
            )
        ), ', ' order by f.oid
    ) as statement
from pg_catalog.pg_proc as f
join pg_catalog.pg_namespace as n on n.oid = f.pronamespace
where f.oid = any(%(argument_functions)s::oid[]) or f.oid = any(%(result_functions)s::oid[])
having count(*) > 0

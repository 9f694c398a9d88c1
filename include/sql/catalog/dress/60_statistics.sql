-- Extended statistics do not move with their table: they are made in the incoming schema and moved by name.
select
    quote_ident(s.stxname) as object,
    d.statement
from pg_catalog.pg_statistic_ext as s
join pg_catalog.pg_namespace as n on n.oid = s.stxnamespace
cross join
    lateral (
        values
        (1, replace(
            replace(
                pg_get_statisticsobjdef(s.oid),
                format('CREATE STATISTICS %%I.%%I', n.nspname, s.stxname),
                format('CREATE STATISTICS %%I.%%I', %(incoming_schema)s::text, s.stxname)
            ),
            ' FROM ' || %(production)s::oid::regclass::text, ' FROM ' || %(incoming)s::oid::regclass::text
        )),
        (
            2,
            case
                when
                    s.stxstattarget >= 0
                    then format(
                            'alter statistics %%I.%%I set statistics %%s',
                            %(incoming_schema)s::text,
                            s.stxname,
                            s.stxstattarget
                        )
            end
        ),
        (3, case
            when obj_description(s.oid, 'pg_statistic_ext') is not null
                then format(
                        'comment on statistics %%I.%%I is %%L',
                        %(incoming_schema)s::text,
                        s.stxname,
                        obj_description(s.oid, 'pg_statistic_ext')
                    )
        end),
        (
            4,
            format(
                'alter statistics %%I.%%I owner to %%I',
                %(incoming_schema)s::text,
                s.stxname,
                pg_get_userbyid(s.stxowner)
            )
        )
    ) as d (position, statement)
where s.stxrelid = %(production)s::oid and d.statement is not null
order by s.stxname, d.position

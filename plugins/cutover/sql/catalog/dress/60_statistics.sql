-- Extended statistics do not move with their table: they are made in the incoming schema and moved by name.
select
    quote_ident(s.stxname) as object,
    m.statement
from pg_catalog.pg_statistic_ext as s
join pg_catalog.pg_namespace as n on n.oid = s.stxnamespace
cross join
    lateral (
        select
            pg_get_statisticsobjdef(s.oid) as definition,
            format('CREATE STATISTICS %%I.%%I', n.nspname, s.stxname) as head,
            ' FROM ' || %(production)s::oid::regclass::text as tail
    ) as d
cross join
    lateral (
        values
        -- the definition begins with its name and ends with its table's: nothing is searched for in between
        (1, case
            when starts_with(d.definition, d.head) and right(d.definition, length(d.tail)) = d.tail then format(
                    'CREATE STATISTICS %%I.%%I%%s FROM %%s',
                    %(incoming_schema)s::text,
                    s.stxname,
                    substr(d.definition, length(d.head) + 1, length(d.definition) - length(d.head) - length(d.tail)),
                    %(incoming)s::oid::regclass
                )
        end),
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
    ) as m (position, statement)
where s.stxrelid = %(production)s::oid and (m.statement is not null or m.position = 1)
order by s.stxname, m.position
